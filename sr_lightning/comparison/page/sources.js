"use strict";
// What a pane may show: LR, bicubic, HR, or a run's SR of the chosen crop.

/** The crops of the board, and the chosen one; null where runs have left none. */
function currentCrop() {
  const crops = cropsOf(state.board);
  return crops.find(crop => crop.id === state.crop) ?? crops[0] ?? null;
}

/** An experiment shows its first run that has the crop. */
function cropRun(crop, entry) {
  return entry.runs.find(run => crop.by_run[run.id]) ?? null;
}

/** {id, name, key, psnr, ssim, badge} of everything that can be shown of a crop: selected runs first. */
function sources(crop) {
  const references = [
    {id: "lr", name: "LR", key: crop.lr}, {id: "bicubic", name: "bicubic", key: crop.bicubic, psnr: crop.bicubic_psnr, ssim: crop.bicubic_ssim},
    {id: "hr", name: "HR", key: crop.hr},
  ];
  const places = selected(), chosen = places.map(place => place.entry);
  const others = boardEntries(state.board).experiments.filter(entry => !chosen.some(each => each.key === entry.key));
  const runs = [...chosen, ...others].flatMap(entry => runSource(crop, entry, places.find(place => place.entry === entry)));
  return [...references, ...runs];
}

function runSource(crop, entry, place) {
  const run = cropRun(crop, entry);
  if (!run) return [];
  const {sr, psnr, ssim} = crop.by_run[run.id];
  const seed = entry.runs.length > 1 ? `, seed ${run.seed}` : "";
  return [{id: entry.key, name: entry.label + seed, key: sr, psnr, ssim, place}];
}

function sourceOptions(list, none = false) {
  const group = source => source.place ? "Selected" : ["lr", "bicubic", "hr"].includes(source.id) ? "References" : "Other runs";
  const order = ["Selected", "References", "Other runs"];
  const options = list.map(source => ({value: source.id, text: source.place ? `${source.place.letter}  ${source.name}` : source.name, group: group(source)}));
  options.sort((one, other) => order.indexOf(one.group) - order.indexOf(other.group));
  return none ? [{value: "none", text: "no third"}, ...options] : options;
}

/** The image element of a source, as wide as the crop in HR pixels. */
function picture(source, [width, height]) {
  return element("img", {src: imageUri(source.key), width, height, alt: source.name, draggable: "false"});
}

/** "A" or "HR" as a tag in the corner of a pane. */
const tagOf = source => source.place ? source.place.letter : source.name;

const scoreOf = source => missing(source.ssim) ? "" : `${missing(source.psnr) ? "∞" : fixed(source.psnr)} dB / ${fixed(source.ssim, 4)}`;

/** A source by its id, or the first of the fallbacks that is there. */
function sourceBy(list, id, ...fallbacks) {
  return [id, ...fallbacks].map(wanted => list.find(source => source.id === wanted)).find(Boolean) ?? list[0];
}

/** The id of the selected entry at a number among those that are shown. */
const selectedId = (list, number) => list.filter(source => source.place)[number]?.id ?? "";
