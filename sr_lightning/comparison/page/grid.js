"use strict";
// All selected runs at the same place, beside LR, bicubic and HR: as pictures or as error maps.

function drawGrid() {
  const crop = currentCrop();
  if (!crop) return;
  const errors = state.grid === "errors", list = sources(crop);
  const shown = [...["lr", "bicubic"].map(id => list.find(source => source.id === id)), ...list.filter(source => source.place), list.find(source => source.id === "hr")];
  for (const button of every("[data-grid]")) button.setAttribute("aria-pressed", String(button.dataset.grid === state.grid));
  one("#error-scale").hidden = !errors;
  one("#error-top").value = state.top;
  drawColourBar();
  one("#grid").replaceChildren(...shown.filter(source => !errors || !["lr", "hr"].includes(source.id)).map(source => gridFigure(source, crop, errors)),
    ...missingFigures(crop));
  applyView();
}

function gridFigure(source, crop, errors) {
  const pane = element("div.pane", {tabindex: "0", role: "group", "aria-label": `${source.name}${errors ? ", error map" : ""}`},
    element("div.layer", {}, errors ? errorCanvas(source.key, crop.hr, cropSize(crop), state.top) : picture(source, cropSize(crop))));
  sizePane(pane, cropSize(crop), gridEnlargement(crop));
  const best = bestOfCrop(crop);
  const [psnr, ssim] = [source.psnr, source.ssim];
  const scores = missing(ssim) ? null : element("span.scores", {},
    element(psnr === best.psnr && source.place ? "b" : "span", {}, `${missing(psnr) ? "∞" : fixed(psnr)} dB`), " / ",
    element(ssim === best.ssim && source.place ? "b" : "span", {}, fixed(ssim, 4)));
  return element("figure", {"data-source": source.id}, pane, element("figcaption", {style: `max-width:${pane.style.width}`},
    element("span.name", {title: source.name}, source.place ? badge(source.place) : null, source.name), scores));
}

/** The best scores of the crop among the selected. */
function bestOfCrop(crop) {
  const shown = sources(crop).filter(source => source.place);
  return {psnr: Math.max(...shown.map(source => source.psnr ?? Infinity)), ssim: Math.max(...shown.map(source => source.ssim))};
}

/** Selected entries whose runs have no picture of this crop. */
function missingFigures(crop) {
  return selected().filter(place => !cropRun(crop, place.entry)).map(place =>
    element("figure.none", {}, element("p.note", {}, badge(place), ` ${place.entry.label}: no picture of this crop`)));
}

function gridEnlargement(crop) {
  const width = one("#grid").clientWidth, size = cropSize(crop);
  return width < 2 * size[0] ? 1 : enlargement(size, Math.min(width / 2 - 8, 300), Math.max(2, Math.floor(290 / size[0])));
}

for (const button of every("[data-grid]")) button.addEventListener("click", () => update({grid: button.dataset.grid}));
one("#error-top").addEventListener("change", event => update({top: Number(event.target.value)}));
