"use strict";
// The viewer: a strip of crops, the slider between any two pictures, and where the crop lies.

function drawStrip() {
  const chosen = currentCrop(), crops = cropsOf(state.board);
  one("#viewer").hidden = one("#grid").hidden = one("#grid-controls").hidden = !chosen;
  one("#pictures-note").hidden = !chosen;
  const sets = [...Map.groupBy(crops, crop => crop.set)];
  one("#strip").replaceChildren(...(chosen ? sets.map(([set, group]) => element("div.set", {},
    element("span", {}, set), element("div", {}, group.map(crop => stripButton(crop, crop === chosen)))))
    : [element("p.note", {}, "No run of this board has left pictures of its crops.")]));
  // Not scrollIntoView, which would move the page too.
  const button = one("#strip [aria-pressed=true]"), strip = one("#strip");
  if (button) strip.scrollLeft = button.offsetLeft - strip.offsetLeft - strip.clientWidth / 2;
}

function stripButton(crop, chosen) {
  return element("button", {type: "button", "aria-pressed": String(chosen), "data-crop": crop.id, "aria-label": `${crop.set}, ${crop.image}`,
    title: crop.image, onclick: () => update({crop: crop.id})},
    element("img", {src: imageUri(crop.hr), alt: "", width: 56, height: 56}), element("small", {}, crop.image));
}

function stepCrop(by) {
  const crops = cropsOf(state.board), at = crops.indexOf(currentCrop());
  if (crops.length) update({crop: crops[(at + by + crops.length) % crops.length].id});
}

const cropSize = crop => [crop.box[2], crop.box[3]];

/** How far a crop is enlarged to fit into a room: to a whole number of the screen's own pixels, so that all are squares. */
function enlargement([width, height], room, most) {
  const fits = Math.min(room / Math.max(width, height), most);
  return fits < 1 ? Math.max(fits, 0.1) : Math.floor(fits * devicePixelRatio) / devicePixelRatio;
}

/** What is left beside the slider's neighbour and the crop's place. */
function bigEnlargement(crop) {
  const width = one("#pictures").clientWidth;
  const room = width < 700 ? width : width < 1080 ? (width - 24) / 2 : (width - 40 - 160) / 2;
  return enlargement(cropSize(crop), room, Math.max(4, Math.floor(400 / crop.box[2])));
}

function drawSlider() {
  const crop = currentCrop();
  if (!crop) return;
  const list = sources(crop), pane = one("#slider-pane");
  const left = sourceBy(list, state.left, "bicubic"), right = sourceBy(list, state.right, selectedId(list, 0), "hr");
  setOptions(one("#left-source"), sourceOptions(list), left.id);
  setOptions(one("#right-source"), sourceOptions(list), right.id);
  sizePane(pane, cropSize(crop), bigEnlargement(crop));
  fillLayer(one(".before", pane), picture(left, cropSize(crop)));
  fillLayer(one(".after", pane), picture(right, cropSize(crop)));
  one(".tag.left", pane).textContent = tagOf(left);
  one(".tag.right", pane).textContent = tagOf(right);
  one("#slider-scores").replaceChildren(scoreLine(left), scoreLine(right));
  drawSplit();
  applyView();
}

function scoreLine(source) {
  return element("span", {}, source.place ? badge(source.place) : null, element("span", {}, source.place ? scoreOf(source) : [source.name, scoreOf(source)].filter(Boolean).join("  ")));
}

function drawSplit() {
  const split = Math.min(Math.max(state.split, 0), 100);
  one("#slider-pane").style.setProperty("--split", `${split}%`);
  one("#divider").setAttribute("aria-valuenow", String(Math.round(split)));
}

function drawPlace() {
  const crop = currentCrop();
  if (!crop) return;
  const [left, top, width, height] = crop.box, [fullWidth, fullHeight] = crop.size;
  const crops = cropsOf(state.board);
  one("#crop-title").textContent = `${crop.set} · ${crop.image}`;
  one("#crop-note").textContent = `${width}×${height} at (${left}, ${top}) of ${fullWidth}×${fullHeight}; ${crops.indexOf(crop) + 1} of ${crops.length}`;
  const percent = (value, of) => `${100 * value / of}%`;
  const box = element("div.box", {style: `left:${percent(left, fullWidth)};top:${percent(top, fullHeight)};width:${percent(width, fullWidth)};height:${percent(height, fullHeight)}`},
    element("div.window"));
  one("#whole").replaceChildren(...(crop.whole ? [element("img", {src: imageUri(crop.whole), alt: `${crop.image} as a whole`}), box] : []));
  applyView();
}

// --------------------------------------------------------------------------------------------------------------- hands

one("#divider").addEventListener("pointerdown", event => {
  event.preventDefault();
  event.stopPropagation();
  const divider = event.currentTarget, pane = one("#slider-pane");
  divider.setPointerCapture(event.pointerId);
  divider.focus({preventScroll: true});
  divider.onpointermove = move => update({split: Math.round(1000 * placeIn(pane, move)[0]) / 10});
});
for (const end of ["pointerup", "pointercancel"]) {
  one("#divider").addEventListener(end, event => { event.currentTarget.onpointermove = null; });
}
one("#divider").addEventListener("keydown", event => {
  const by = {ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100}[event.key];
  if (!by) return;
  event.preventDefault();
  event.stopPropagation();
  update({split: Math.min(Math.max(state.split + by, 0), 100)});
});
one("#left-source").addEventListener("change", event => update({left: event.target.value}));
one("#right-source").addEventListener("change", event => update({right: event.target.value}));
one("#crop-previous").addEventListener("click", () => stepCrop(-1));
one("#crop-next").addEventListener("click", () => stepCrop(1));
// Panes are whole multiples of the crop: another width of the window may hold another.
new ResizeObserver(() => {
  if (!currentCrop() || bigEnlargement(currentCrop()) === Number(one("#slider-pane").dataset.enlarged)) return;
  for (const part of parts) part.stale ||= ["slider", "flicker", "grid"].includes(part.name);
  drawSoon();
}).observe(one("#pictures"));
