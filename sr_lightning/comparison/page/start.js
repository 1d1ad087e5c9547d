"use strict";
// Put the page together: the leaderboard first, then plotly and the curves, the rest as it comes into view.

const CHOICE = ["board", "selection", "basis"], FILTER = [...Object.keys(FILTERS), "search"];
const PICTURE = ["board", "selection", "crop"];

function addParts() {
  addPart("boards", "#boards", ["board", "basis", "scale"], drawBoards);
  addPart("chips", "nav.bar", CHOICE, drawChips);
  addPart("filters", "#leaderboard", ["board", "basis", "hidden", ...FILTER], drawFilters);
  addPart("leaderboard", "#leaderboard", [...CHOICE, ...FILTER, "sort", "hidden", "unfolded"], drawLeaderboard);
  addPart("curves", "#curves", [...CHOICE, ...FILTER, "metric", "x", "runs", "colour", "smoothing", "log"], drawCurves);
  addPart("pareto", "#tradeoffs", [...CHOICE, ...FILTER, "colour"], drawPareto);
  addPart("strip", "#pictures", ["board", "crop"], drawStrip);
  addPart("slider", "#pictures", [...PICTURE, "left", "right"], drawSlider);
  addPart("split", "#pictures", ["split"], drawSplit);
  addPart("place", "#pictures", ["board", "crop"], drawPlace);
  addPart("flicker", "#pictures", [...PICTURE, "flick1", "flick2", "flick3"], drawFlicker);
  addPart("rate", "#pictures", ["rate"], drawRate);
  addPart("grid", "#pictures", [...PICTURE, "grid", "top"], drawGrid);
  addPart("images", "#pictures", [...PICTURE, "imageSet", "imageSort"], drawImageTable);
  addPart("significance", "#significance", [...CHOICE, "first", "second", "testSet", "testMetric"], drawSignificance);
}

function start() {
  one("#counts").textContent = `${plural(page.runs.length, "run")} on ${plural(page.boards.length, "board")}`;
  one("#notes").replaceChildren(...page.notes.map(note => element("p.note", {}, note)));
  if (!page.boards[state.board]) state.board = 0;
  if (!page.boards.length) {
    one("main").replaceChildren(element("p", {}, "There are no runs to compare."));
    return announceReady();
  }
  addParts();
  restoreView();
  drawStale(part => ["boards", "chips", "filters", "leaderboard"].includes(part.name));
  performance.mark("leaderboard");
  // After the browser has painted the table: plotly takes as long as everything else together.
  requestAnimationFrame(() => setTimeout(drawFirstPlot));
}

function drawFirstPlot() {
  drawStale(part => part.name === "curves");
  announceReady();
  started = true;
  if (isWhole()) showAddressed();
  else document.addEventListener("DOMContentLoaded", showAddressed);
}

function showAddressed() {
  if (SECTIONS.includes(state.section)) goTo(state.section);
  drawSoon();
}

function announceReady() {
  performance.mark("ready");
  document.documentElement.dataset.ready = "true";
}

// ------------------------------------------------------------------------------------------------- sections and keys

const SECTIONS = every(".links a").map(link => link.dataset.section);

function goTo(section) {
  update({section});
  const node = document.getElementById(section);
  // What is above must have its height before, or it would push the section out of sight.
  drawStale(part => part.node === node || part.node.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING);
  node.scrollIntoView();
  node.focus({preventScroll: true});
}

document.addEventListener("click", event => {
  const link = event.target.closest("a[data-section]");
  if (!link) return;
  event.preventDefault();
  goTo(link.dataset.section);
});

const here = new IntersectionObserver(seen => {
  for (const {target, isIntersecting} of seen) {
    one(`.links [data-section="${target.id}"]`).setAttribute("aria-current", String(isIntersecting));
  }
}, {rootMargin: "-30% 0px -69% 0px"});
for (const section of SECTIONS) here.observe(document.getElementById(section));

one("#keys-open").addEventListener("click", () => one("#keys").showModal());

document.addEventListener("keydown", event => {
  const typing = event.target.matches("input:not([type=range], [type=checkbox]), select, textarea, dialog *");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const action = {
    "/": () => one("#search").focus(), "?": () => one("#keys").showModal(), "[": () => stepCrop(-1), "]": () => stepCrop(1),
    f: () => playFlicker(!flicker.timer), e: () => update({grid: state.grid === "errors" ? "pictures" : "errors"}),
    ...Object.fromEntries(SECTIONS.map((section, index) => [index + 1, () => goTo(section)])),
  }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// A link to another state, typed into the address of this page.
addEventListener("hashchange", () => {
  if (location.hash === toAddress()) return;
  Object.assign(state, DEFAULTS, fromAddress(location.hash));
  if (!page.boards[state.board]) state.board = 0;
  restoreView();
  staleAll();
});
// Colours of plots are not the style sheet's: they are drawn anew for another light. Paper shows what no screen has yet.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", staleAll);
addEventListener("beforeprint", () => {
  drawStale();
  scalePlots(true);
});
addEventListener("afterprint", () => scalePlots(false));

start();
