"use strict";
// The values of the page: entries (what a row shows) by board, their scores, and pictures, decoded when they are shown.

const page = JSON.parse(one("#data").textContent);
/** The name of the mean over all sets of a board, where a set is expected. */
const ALL_SETS = "*";

const runById = new Map(page.runs.map(run => [run.id, run]));

/**
 * One row: an experiment (finished runs that differ in their seeds alone), one run, bicubic, or a paper's numbers.
 * `key` names it in the selection and in the address: e3, r12, bicubic, published:edsr.
 */
class Entry {
  constructor(kind, key, label, board, runs, table = runs.map(run => boardScores(run, board))) {
    Object.assign(this, {kind, key, label, board, runs, run: runs[0] ?? null, table, memory: new Map()});
  }

  get gan() { return Boolean(this.run?.gan); }
  get finished() { return this.runs.every(run => run.status === "finished"); }
  get reference() { return this.kind === "bicubic" || this.kind === "published"; }

  /** One number for each run that has one. */
  values(set, metric) {
    const sets = set === ALL_SETS ? page.boards[this.board].common_sets : [set];
    const memo = `${set} ${metric}`;
    if (!this.memory.has(memo)) {
      const each = this.table.map(scores => mean(sets.map(name => scores[name]?.[metric] ?? NaN)));
      this.memory.set(memo, each.filter(value => !missing(value)));
    }
    return this.memory.get(memo);
  }

  /** The mean over runs, null without one. */
  score(set, metric) { return mean(this.values(set, metric)); }
  spread(set, metric) { return deviation(this.values(set, metric)); }

  /** What it gains over bicubic, in dB; null for bicubic itself and where there is none. */
  gain(set) {
    const below = boardEntries(this.board).bicubic.score(set, "psnr"), own = this.score(set, "psnr");
    return missing(below) || missing(own) || this.kind === "bicubic" ? null : own - below;
  }

  /** The mean over runs of a number that a run has. */
  fact(name) { return mean(this.runs.map(run => run[name]).filter(value => !missing(value))); }
}

/** The scores of a run that belong to a board: its other sets stand on others. */
const boardScores = (run, board) => Object.fromEntries(Object.entries(run.scores).filter(([, scores]) => scores.board === board));
const runsOn = board => page.runs.filter(run => run.boards.includes(board));
const isScored = (run, board) => run.status === "finished" && Object.keys(boardScores(run, board)).length > 0;

const entriesByBoard = new Map();

/** {experiments, unranked, bicubic, published} of a board. */
function boardEntries(board) {
  if (!entriesByBoard.has(board)) entriesByBoard.set(board, makeEntries(board));
  return entriesByBoard.get(board);
}

function makeEntries(board) {
  const experiments = page.boards[board].rows.flatMap(row => {
    const runs = row.runs.map(id => runById.get(id)).filter(run => isScored(run, board));
    return runs.length ? [new Entry("experiment", `e${row.experiment}`, row.label, board, runs)] : [];
  });
  const ranked = new Set(experiments.flatMap(entry => entry.runs));
  const unranked = runsOn(board).filter(run => !ranked.has(run)).map(run => runEntry(run, board));
  const bicubic = new Entry("bicubic", "bicubic", "bicubic", board, [], [page.boards[board].bicubic]);
  const rows = page.published.filter(row => row.board === board);
  const published = [...Map.groupBy(rows, row => row.name)].map(([name, group]) =>
    new Entry("published", `published:${name}`, name, board, [], [Object.fromEntries(group.map(row => [row.set, row]))]));
  return {experiments, unranked, bicubic, published};
}

const runEntry = (run, board) => new Entry("run", `r${run.id}`, run.label, board, [run]);

/** What a board may be ranked by: the mean of the sets that all have, where there are several, or a set. */
function basesOf(board) {
  const {sets, common_sets: common} = page.boards[board];
  return common.length > 1 ? [ALL_SETS, ...sets] : [...new Set([...common, ...sets])];
}

/** The entry that a key of the selection names on a board, or null. */
function entryOf(board, key) {
  if (key.startsWith("r")) {
    const run = runById.get(Number(key.slice(1)));
    return run?.boards.includes(board) ? runEntry(run, board) : null;
  }
  return boardEntries(board).experiments.find(entry => entry.key === key) ?? null;
}

/**
 * The order of a board by a set's scores: {order, place}. Pixel networks are ranked by PSNR; GAN runs, which give up
 * PSNR for what looks real, by their Pareto front of PSNR and a perceptual distance, pixel networks standing by.
 */
function ranking(board, set) {
  const memo = `${board} ${set}`;
  if (!rankings.has(memo)) rankings.set(memo, makeRanking(board, set));
  return rankings.get(memo);
}

const rankings = new Map();

function makeRanking(board, set) {
  const {experiments} = boardEntries(board);
  const scored = experiments.filter(entry => !missing(entry.score(set, "psnr")));
  const psnr = entry => entry.score(set, "psnr");
  const pixel = scored.filter(entry => !entry.gan).sort((one, other) => psnr(other) - psnr(one));
  // Equal scores share a rank.
  const place = new Map(pixel.map(entry => [entry.key, 1 + pixel.findIndex(each => psnr(each) === psnr(entry))]));
  const perception = ["lpips", "lsd"].find(metric => scored.every(entry => !missing(entry.score(set, metric)))) ?? null;
  const numbers = perception ? fronts(scored.map(entry => [psnr(entry), -entry.score(set, perception)])) : [];
  const front = new Map(numbers.map((number, index) => [scored[index].key, number]));
  const gans = scored.filter(entry => entry.gan);
  gans.sort((one, other) => (front.get(one.key) ?? 0) - (front.get(other.key) ?? 0) || psnr(other) - psnr(one));
  return {pixel, gans, unscored: experiments.filter(entry => !scored.includes(entry)), place, front, perception};
}

// ------------------------------------------------------------------------------------------------------------ pictures

const imageIndex = JSON.parse(one("#image-index").textContent);
const imageChunks = new Map();

/** The data URI of a key. The script tag that holds it is read when the first of its pictures is shown. */
function imageUri(key) {
  const number = imageIndex[key];
  if (!imageChunks.has(number)) imageChunks.set(number, JSON.parse(every("script.images")[number].textContent));
  return imageChunks.get(number)[key];
}

/** The crops that runs of a board show. */
function cropsOf(board) {
  const ids = new Set(runsOn(board).map(run => String(run.id)));
  return page.crops.filter(crop => Object.keys(crop.by_run).some(id => ids.has(id)));
}
