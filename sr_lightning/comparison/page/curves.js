"use strict";
// Training curves: one line per run, seeds of an experiment in one colour.

const CURVE_NAMES = {
  "val/psnr": "validation PSNR (dB)", "val/ssim": "validation SSIM", "val/lpips": "validation LPIPS", "train/loss": "training loss",
  "train/gradient_norm": "gradient norm", "train/discriminator_gradient_norm": "gradient norm of the discriminator",
  "train/learning_rate": "learning rate",
};
const CURVE_AXES = {step: "step", hr_pixels: "HR pixels seen", seconds: "seconds"};

/** Names of all curves that runs of the board have: known ones first, then by alphabet. */
function curveNames() {
  const there = new Set(runsOn(state.board).flatMap(run => Object.keys(run.curves)));
  const known = Object.keys(CURVE_NAMES).filter(name => there.has(name));
  return [...known, ...[...there].filter(name => !known.includes(name) && !(name in CURVE_AXES)).sort()];
}

const curveTitle = name => CURVE_NAMES[name] ?? name.replace("train/share/", "share of the loss: ").replace("train/", "training ");

/** Where a run has a value: {x, y}, smoothed by a mean that forgets. */
function curvePoints(run, name, over, smoothing) {
  const xs = run.curves[over], ys = run.curves[name], points = {x: [], y: []};
  if (!xs || !ys) return points;
  let sum = 0, weight = 0;
  ys.forEach((value, index) => {
    if (missing(value) || missing(xs[index])) return;
    sum = smoothing * sum + (1 - smoothing) * value;
    weight = smoothing * weight + (1 - smoothing);
    points.x.push(xs[index]);
    points.y.push(sum / weight);
  });
  return points;
}

/** Runs to draw, the selected last and so on top: [{run, key, place}]. */
function curveRuns() {
  const places = selected();
  const placeOf = run => places.find(place => place.entry.runs.some(each => each.id === run.id)) ?? null;
  const chosen = runsOn(state.board).filter(placeOf);
  const others = state.runs === "all" ? passingRuns().filter(run => !placeOf(run)) : [];
  return [...others, ...chosen].map(run => ({run, place: placeOf(run)}));
}

function drawCurves() {
  const names = curveNames();
  const name = setOptions(one("#curve-metric"), names.map(value => ({value, text: curveTitle(value)})), state.metric);
  const over = setOptions(one("#curve-x"), curveAxes(), state.x);
  for (const [id, key] of [["#curve-runs", "runs"], ["#colour-by", "colour"], ["#smoothing", "smoothing"]]) one(id).value = state[key];
  one("#curve-log").checked = state.log;
  const {of, legend} = colouring();
  drawColours(one("#curve-colours"), legend);
  const drawn = curveRuns().map(each => ({...each, ...curvePoints(each.run, name, over, state.smoothing)})).filter(each => each.x.length);
  one("#curves-note").textContent = drawn.length
    ? `${plural(drawn.length, "run")}; ${curveTitle(name)} over ${CURVE_AXES[over]}.` : "No run of this choice has left this curve.";
  const ends = lineEnds(drawn), range = curveRange(drawn);
  const traces = drawn.map(each => curveTrace(each, of, drawn.length));
  plot(one("#curve-plot"), traces, {
    xaxis: axis(CURVE_AXES[over], {tickformat: "~s"}), yaxis: axis(curveTitle(name), {type: state.log ? "log" : "linear", range}),
    margin: {l: 52, r: 26 + 17 * ends.length, t: 14, b: 42},
    annotations: lineLetters(ends, range ?? extent(ends.map(end => end.y))), uirevision: `${state.board} ${name} ${over} ${state.log}`, height: 430,
  });
}

function curveAxes() {
  const there = new Set(runsOn(state.board).flatMap(run => Object.keys(run.curves)));
  return Object.entries(CURVE_AXES).filter(([value]) => there.has(value)).map(([value, text]) => ({value, text}));
}

function curveTrace({run, place, x, y}, colourOf, count) {
  const entry = place?.entry ?? runEntry(run, state.board), plain = state.colour === "selection" && !place;
  return {
    type: "scatter", mode: x.length < 30 && !plain ? "lines+markers" : "lines", x, y,
    line: {color: colourOf(entry), width: place ? 2.4 : 1.1}, marker: {size: 4.5}, opacity: place ? 1 : plain && count > 40 ? 0.55 : 0.8,
    text: plainText(run.label), hovertemplate: "%{text}<br>%{y:.5~g} at %{x:.4~s}<extra></extra>",
    customdata: x.map(() => place ? place.entry.key : experimentKey(run)), meta: {select: true},
  };
}

const experimentKey = run => isScored(run, state.board) ? `e${run.experiment}` : `r${run.id}`;

/** Of each selected entry, the end of its first run's line. */
function lineEnds(drawn) {
  const ends = new Map();
  for (const {place, x, y} of drawn) {
    if (place && !ends.has(place.letter)) ends.set(place.letter, {place, x: x.at(-1), y: state.log ? Math.log10(y.at(-1)) : y.at(-1)});
  }
  return [...ends.values()];
}

/** The first steps of a training would take the whole height: of curves that rise or fall fast, 1 % is cut off. */
function curveRange(drawn) {
  if (state.log || !drawn.length) return undefined;
  const values = drawn.flatMap(each => each.y).sort((one, other) => one - other);
  const [low, high] = [quantile(values, 0.01), quantile(values, 0.99)], [bottom, top] = [values[0], values.at(-1)];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [Math.max(low - room, bottom - room), Math.min(high + room, top + room)];
}

for (const [id, key] of [["#curve-metric", "metric"], ["#curve-x", "x"], ["#curve-runs", "runs"], ["#colour-by", "colour"]]) {
  one(id).addEventListener("change", event => update({[key]: event.target.value}));
}
one("#smoothing").addEventListener("input", event => update({smoothing: Number(event.target.value)}));
one("#curve-log").addEventListener("change", event => update({log: event.target.checked}));
