"use strict";
// Image by image: the scores of the selected on each image of a set, the best marked, and A less B.

const currentImageSet = () => {
  const {sets} = page.boards[state.board];
  return sets.includes(state.imageSet) ? state.imageSet : sets.includes(currentCrop()?.set) ? currentCrop().set : sets[0];
};

/** The mean over an entry's runs of a metric of one image; null where a run has none. */
function imageScore(entry, set, image, metric) {
  const values = entry.runs.map(run => run.per_image[set]?.[image]?.[metric]);
  return values.some(missing) ? null : mean(values);
}

function drawImageTable() {
  const set = currentImageSet(), places = selected();
  setOptions(one("#image-set"), page.boards[state.board].sets.map(value => ({value, text: value})), set);
  const images = [...new Set(places.flatMap(place => place.entry.runs.flatMap(run => Object.keys(run.per_image[set] ?? {}))))];
  const rows = images.map(image => ({image, psnr: places.map(place => imageScore(place.entry, set, image, "psnr")),
    ssim: places.map(place => imageScore(place.entry, set, image, "ssim"))}));
  const key = row => state.imageSort.endsWith("difference") ? row.psnr[0] - row.psnr[1] : row.image;
  rows.sort((one, other) => compareValues(key(one), key(other), state.imageSort.startsWith("-") ? -1 : 1));
  const pair = places.length > 1;
  one("#images").replaceChildren(imageHead(places, pair), element("tbody", {}, rows.length ? rows.map(row => imageRow(row, set, pair))
    : element("tr", {}, element("td", {colspan: 2 * places.length + 2}, "No scores of single images: select runs that have them."))),
  ...(rows.length > 1 ? [imageFoot(rows, pair)] : []));
}

function imageHead(places, pair) {
  const sorter = (id, text) => element("button", {type: "button", onclick: () => update({imageSort: state.imageSort === id ? `-${id}` : id})}, text);
  const order = id => state.imageSort === id ? "ascending" : state.imageSort === `-${id}` ? "descending" : "none";
  return element("thead", {},
    element("tr.groups", {}, element("td"), places.map(place => element("th.first", {colspan: 2, scope: "colgroup"}, badge(place), ` ${place.entry.label}`)), pair ? element("td.first") : null),
    element("tr.titles", {}, element("th.label", {scope: "col", "aria-sort": order("image")}, sorter("image", "Image")),
      places.flatMap(() => [element("th.number.first", {scope: "col"}, "PSNR"), element("th.number", {scope: "col"}, "SSIM")]),
      pair ? element("th.number.first", {scope: "col", "aria-sort": order("difference")}, sorter("difference", `${places[0].letter} − ${places[1].letter}`)) : null));
}

function imageRow({image, psnr, ssim}, set, pair) {
  const crop = cropsOf(state.board).find(each => each.set === set && each.image === image);
  const name = crop ? element("button.link", {type: "button", onclick: () => update({crop: crop.id})}, image) : image;
  const best = values => Math.max(...values.filter(value => !missing(value)));
  const cell = (values, index, digits) => element(`td.number${values.length > 1 && values[index] === best(values) ? ".best" : ""}${digits === 2 ? ".first" : ""}`, {}, fixed(values[index], digits));
  const difference = psnr[0] - psnr[1];
  return element(crop && crop === currentCrop() ? "tr.current" : "tr", {}, element("th.label", {scope: "row"}, name),
    psnr.flatMap((_, index) => [cell(psnr, index, 2), cell(ssim, index, 4)]),
    pair ? element(`td.number.first.${difference > 0 ? "up" : "down"}`, {}, missing(psnr[0]) || missing(psnr[1]) ? NONE : signed(difference)) : null);
}

function imageFoot(rows, pair) {
  const average = (metric, index) => mean(rows.map(row => row[metric][index] ?? NaN));
  const places = rows[0].psnr.map((_, index) => index);
  return element("tfoot", {}, element("tr", {}, element("th.label", {scope: "row"}, "mean"),
    places.flatMap(index => [element("td.number.first", {}, fixed(average("psnr", index))), element("td.number", {}, fixed(average("ssim", index), 4))]),
    pair ? element("td.number.first", {}, signed(average("psnr", 0) - average("psnr", 1))) : null));
}

one("#image-set").addEventListener("change", event => update({imageSet: event.target.value}));
