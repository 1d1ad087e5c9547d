"use strict";
// What a person has chosen, kept in the address so that a link shows the same; and who draws it.

const DEFAULTS = {
  section: "", board: 0, basis: ALL_SETS, sort: "", search: "", model: [], loss: [], scale: [], data: [], ema: [], status: [],
  hidden: [], unfolded: [], selection: null,
  metric: "", x: "step", runs: "all", colour: "selection", smoothing: 0, log: false,
  crop: -1, left: "", right: "", split: 50, flick1: "", flick2: "", flick3: "", rate: 1.5, grid: "pictures", top: 0.25,
  zoom: 1, centre: "0.5,0.5", imageSet: "", imageSort: "",
  first: "", second: "", testSet: "", testMetric: "psnr",
};
const state = {...DEFAULTS, ...fromAddress(location.hash)};

function fromAddress(hash) {
  const found = {};
  for (const [key, text] of new URLSearchParams(hash.slice(1))) {
    if (!Object.hasOwn(DEFAULTS, key)) continue;
    const like = DEFAULTS[key];
    if (Array.isArray(like) || like === null) found[key] = text === "" ? [] : text.split("\t");
    else if (typeof like === "number") found[key] = Number.isFinite(Number(text)) ? Number(text) : like;
    else if (typeof like === "boolean") found[key] = text === "true";
    else found[key] = text;
  }
  return found;
}

function toAddress() {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    const text = Array.isArray(value) ? value.join("\t") : value === null ? null : String(value);
    const usual = Array.isArray(DEFAULTS[key]) ? DEFAULTS[key].join("\t") : DEFAULTS[key] === null ? null : String(DEFAULTS[key]);
    if (text !== usual) parameters.set(key, text);
  }
  return `#${parameters}`;
}

// ------------------------------------------------------------------------------------------------------------- drawing

// Parts of the page: {name, node, draw, uses}. A part is drawn anew when something changes that it uses, but not before
// it comes into view: a click in the table must not wait for plots below it.
const parts = [];
let frame = 0, saving = 0, started = false;

function addPart(name, node, uses, draw) {
  const part = {name, node: one(node), uses: new Set(uses), draw, stale: true, near: false};
  parts.push(part);
  nearness.observe(part.node);
}

const nearness = new IntersectionObserver(seen => {
  for (const {target, isIntersecting} of seen) {
    for (const part of parts) if (part.node === target) part.near = isIntersecting;
  }
  drawSoon();
}, {rootMargin: "300px"});

/** Change the state and draw what shows it. */
function update(changes) {
  const changed = Object.keys(changes).filter(key => state[key] !== changes[key]);
  Object.assign(state, changes);
  for (const part of parts) part.stale ||= changed.some(key => part.uses.has(key));
  // Browsers refuse an address that changes with each move of a hand.
  clearTimeout(saving);
  saving = setTimeout(saveAddress, 150);
  drawSoon();
}

function saveAddress() {
  history.replaceState(null, "", toAddress());
}

function drawSoon() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => started && drawStale(part => part.near && (isWhole() || part.node.id !== "pictures")));
}

/** Draw every part that no longer shows the state, of those that a condition takes. */
function drawStale(condition = () => true) {
  for (const part of parts) {
    if (!part.stale || !condition(part)) continue;
    part.stale = false;
    part.draw();
  }
}

/** Whether the browser has read all of the file, at whose end the pictures stand. */
const isWhole = () => document.readyState !== "loading";

function staleAll() {
  for (const part of parts) part.stale = true;
  drawSoon();
}
