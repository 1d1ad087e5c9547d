"use strict";
// One view of all panes: the same place at the same zoom, by wheel, drag, pinch and keys.

const MOST_ZOOM = 24;
// Zoom 1 shows the whole crop; the centre in shares of the crop, so that panes of any size show the same place.
const view = {zoom: 1, x: 0.5, y: 0.5};

/** Put one or more pictures {node, width} of a crop of width x height HR pixels into a layer, enlarged by repeating pixels. */
function fillLayer(layer, node) {
  layer.replaceChildren(...(node ? [node] : []));
}

/** Say what a pane shows: the size of its crop in HR pixels, and how many CSS pixels wide it is drawn. */
function sizePane(pane, [width, height], enlarged) {
  Object.assign(pane.dataset, {width, height, enlarged});
  Object.assign(pane.style, {width: `${width * enlarged}px`, height: `${height * enlarged}px`});
}

function applyView() {
  const half = 0.5 / view.zoom;
  view.x = Math.min(Math.max(view.x, half), 1 - half);
  view.y = Math.min(Math.max(view.y, half), 1 - half);
  for (const pane of every("#pictures .pane")) {
    const [width, height, enlarged] = ["width", "height", "enlarged"].map(key => Number(pane.dataset[key]));
    const scale = enlarged * view.zoom;
    const left = width * (enlarged / 2 - view.x * scale), top = height * (enlarged / 2 - view.y * scale);
    for (const layer of every(".layer > *", pane)) layer.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    pane.classList.toggle("zoomed", view.zoom > 1);
  }
  const window_ = one("#whole .window");
  if (window_) {
    Object.assign(window_.style, {
      left: `${100 * (view.x - half)}%`, top: `${100 * (view.y - half)}%`, width: `${100 / view.zoom}%`, height: `${100 / view.zoom}%`,
    });
  }
  one("#zoom-text").value = `${view.zoom.toFixed(1)}×`;
}

/** Zoom by a factor; the place at (x, y), in shares of the pane, stays where it is. */
function zoomBy(factor, x = 0.5, y = 0.5) {
  const zoom = Math.min(Math.max(view.zoom * factor, 1), MOST_ZOOM);
  view.x += (x - 0.5) * (1 / view.zoom - 1 / zoom);
  view.y += (y - 0.5) * (1 / view.zoom - 1 / zoom);
  view.zoom = zoom;
  keepView();
}

/** Move by shares of what is seen. */
function panBy(x, y) {
  view.x += x / view.zoom;
  view.y += y / view.zoom;
  keepView();
}

function resetView() {
  Object.assign(view, {zoom: 1, x: 0.5, y: 0.5});
  keepView();
}

function keepView() {
  applyView();
  update({zoom: Number(view.zoom.toFixed(3)), centre: `${view.x.toFixed(4)},${view.y.toFixed(4)}`});
}

function restoreView() {
  const [x, y] = state.centre.split(",").map(Number);
  view.zoom = Math.min(Math.max(state.zoom, 1), MOST_ZOOM);
  if (Number.isFinite(x) && Number.isFinite(y)) Object.assign(view, {x, y});
}

// --------------------------------------------------------------------------------------------------------------- hands

/** Where an event is in its pane, in shares. */
function placeIn(pane, event) {
  const box = pane.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

let scrolled = -Infinity;
addEventListener("scroll", event => { scrolled = event.timeStamp; }, {passive: true});

one("#pictures").addEventListener("wheel", event => {
  const pane = event.target.closest(".pane");
  // A page that is being scrolled goes on when a pane comes under the pointer.
  if (!pane || event.timeStamp - scrolled < 250 || (view.zoom === 1 && event.deltaY > 0)) return;
  event.preventDefault();
  const turned = event.deltaMode ? event.deltaY * 40 : event.deltaY;
  zoomBy(Math.exp(-Math.min(Math.max(turned, -200), 200) / 320), ...placeIn(pane, event));
}, {passive: false});

const hands = new Map();

one("#pictures").addEventListener("pointerdown", event => {
  const pane = event.target.closest(".pane");
  if (!pane || event.target.closest("#divider") || event.button > 0) return;
  hands.set(event.pointerId, {pane, x: event.clientX, y: event.clientY});
  pane.setPointerCapture(event.pointerId);
  pane.classList.add("held");
});

one("#pictures").addEventListener("pointermove", event => {
  const hand = hands.get(event.pointerId);
  if (!hand) return;
  const both = [...hands.values()], before = spread(both), box = hand.pane.getBoundingClientRect();
  panBy((hand.x - event.clientX) / box.width / both.length, (hand.y - event.clientY) / box.height / both.length);
  Object.assign(hand, {x: event.clientX, y: event.clientY});
  if (both.length === 2) zoomBy(spread(both) / before, ...placeIn(hand.pane, middle(both)));
});

const spread = ([one, other]) => other ? Math.max(Math.hypot(one.x - other.x, one.y - other.y), 1) : 1;
const middle = ([one, other]) => ({clientX: (one.x + other.x) / 2, clientY: (one.y + other.y) / 2});

for (const end of ["pointerup", "pointercancel"]) {
  one("#pictures").addEventListener(end, event => {
    hands.get(event.pointerId)?.pane.classList.remove("held");
    hands.delete(event.pointerId);
  });
}

one("#pictures").addEventListener("dblclick", event => event.target.closest(".pane") && resetView());

one("#pictures").addEventListener("keydown", event => {
  if (!event.target.matches(".pane") || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = {
    "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: resetView,
    ArrowLeft: () => panBy(-0.1, 0), ArrowRight: () => panBy(0.1, 0), ArrowUp: () => panBy(0, -0.1), ArrowDown: () => panBy(0, 0.1),
  }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

one("#zoom-in").addEventListener("click", () => zoomBy(1.5));
one("#zoom-out").addEventListener("click", () => zoomBy(1 / 1.5));
one("#zoom-reset").addEventListener("click", resetView);
