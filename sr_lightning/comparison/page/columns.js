"use strict";
// The columns of the leaderboard: what stands in them, as text, as markup-free nodes, and as a number to sort by.

/** Columns of a board: {id, title, group, hint, value(entry), text(entry), cell(entry), descending}. */
function boardColumns(board) {
  const {experiments} = boardEntries(board);
  const has = (set, metric) => experiments.some(entry => !missing(entry.score(set, metric)));
  const metrics = basesOf(board).flatMap(set => Object.keys(METRICS)
    .filter(metric => metric === "psnr" || has(set, metric))
    .map(metric => scoreColumn(set, metric)));
  return [...metrics, ...FACT_COLUMNS];
}

function scoreColumn(set, metric) {
  const {name, unit, digits, better, caution} = METRICS[metric];
  const group = set === ALL_SETS ? "Mean of sets" : set;
  return {
    id: `${metric}:${set}`, title: name, group, number: true, descending: better > 0, metric,
    hint: `${name}${unit && ` in ${unit}`} on ${setName(set)}; ${better > 0 ? "more" : "less"} is better${caution && `; ${caution}`}`,
    value: entry => entry.score(set, metric),
    text: entry => scoreText(entry, set, metric, digits),
    cell: entry => scoreCell(entry, set, metric, digits),
  };
}

function scoreText(entry, set, metric, digits) {
  const spread = entry.spread(set, metric);
  const gain = metric === "psnr" ? entry.gain(set) : null;
  return fixed(entry.score(set, metric), digits) + (spread === null ? "" : ` ± ${fixed(spread, digits)}`)
    + (gain === null ? "" : ` (${signed(gain)})`);
}

function scoreCell(entry, set, metric, digits) {
  const spread = entry.spread(set, metric);
  const gain = metric === "psnr" ? entry.gain(set) : null;
  const under = [gain === null ? null : signed(gain), spread === null ? null : `±\u00a0${fixed(spread, digits)}`].filter(Boolean);
  return [fixed(entry.score(set, metric), digits), under.length ? element("small", {}, under.join("  ")) : null];
}

function factColumn(id, title, hint, show, number = true, fact = entry => entry.fact(id)) {
  const value = entry => entry.run ? fact(entry) : null;
  return {id, title, hint, number, group: "", value, text: entry => entry.run ? show(value(entry), entry) : ""};
}

const wordColumn = (id, title, hint, read) => factColumn(id, title, hint, value => value, false, entry => read(entry.run));

const FACT_COLUMNS = [
  factColumn("parameters", "Parameters", "Trained weights", counted),
  factColumn("multiply_adds", "Multiply-adds", "For one output of 1280×720", counted),
  wordColumn("data", "Trained on", "Training set", run => run.data ?? NONE),
  wordColumn("degradation", "LR by", "How LR was made in training", run => run.degradation ?? "bicubic"),
  factColumn("steps", "Steps", "Optimiser steps of the network", grouped),
  factColumn("hr_pixels", "HR pixels", "HR pixels seen in training", counted),
  factColumn("seconds", "Time", "Seconds of training on that device", duration),
  wordColumn("device", "Device", "What it was trained on", run => run.device ?? NONE),
  wordColumn("precision", "Precision", "What training computed in", run => run.precision ?? NONE),
  wordColumn("ema", "EMA", "Decay of the averaged weights, which are then the ones that are scored", run => filterText(run, "ema")),
  wordColumn("warm_start", "Warm start", "Weights that training began from", run => run.warm_start ?? "no"),
  wordColumn("protocol", "Protocol", "How scores were computed", run => page.boards[state.board].protocol.name ?? NONE),
  wordColumn("seeds", "Seeds", "Runs of the experiment, by seed", () => ""),
  wordColumn("status", "Status", "Whether it finished", run => run.status),
];
Object.assign(FACT_COLUMNS.find(column => column.id === "seeds"), {
  number: true, value: entry => entry.runs.length || null,
  text: entry => entry.reference ? "" : entry.runs.map(run => run.seed ?? NONE).join(", "),
});

const visibleColumns = () => boardColumns(state.board).filter(column => !hiddenColumns().includes(column.id));

const RARE_METRICS = ["ms_ssim", "dists", "niqe", "lsd"];

/** Unless somebody has chosen: what few papers print, but LSD where it ranks GANs, and LR by where all have the same. */
function hiddenColumns() {
  if (state.hidden.length) return state.hidden;
  const {experiments} = boardEntries(state.board);
  const wanted = experiments.some(entry => entry.gan) && ranking(state.board, currentBasis()).perception === "lsd";
  return boardColumns(state.board).filter(column => RARE_METRICS.includes(column.metric) && !(wanted && column.id === `lsd:${currentBasis()}`)).map(column => column.id)
    .concat(new Set(runsOn(state.board).map(run => run.degradation)).size < 2 ? ["degradation"] : []);
}
