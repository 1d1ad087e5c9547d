"use strict";
// What PSNR costs, and distortion against perception; on each plane the front of those that none beats in both.

const COSTS = [
  {id: "parameters", title: "Parameters", show: counted},
  {id: "multiply_adds", title: "Multiply-adds for 1280×720", show: counted},
  {id: "seconds", title: "Seconds of training", show: duration},
];

function drawPareto() {
  const node = one("#pareto-plots"), {of, legend} = colouring();
  const entries = boardEntries(state.board).experiments.filter(entry => passes(entry) || selectedPlace(entry.key));
  const figures = [...COSTS.map(cost => costFigure(cost, entries)), planeFigure(entries)];
  drawColours(one("#pareto-colours"), legend);
  figures.forEach((figure, index) => drawFigure(node.children[index], figure, of));
}

/** PSNR against a cost, without GAN runs: they give up PSNR for what the last plane shows. */
function costFigure({id, title, show}, entries) {
  const basis = currentBasis();
  const points = entries.filter(entry => !entry.gan)
    .map(entry => ({entry, x: entry.fact(id), y: entry.score(basis, "psnr"), on: true})).filter(point => point.x > 0 && !missing(point.y));
  const devices = new Set(points.flatMap(({entry}) => entry.runs.map(run => run.device)));
  return {
    title, points, better: [-1, 1], note: id === "seconds" && devices.size > 1 ? `on ${devices.size} kinds of devices, which do not compare` : "",
    xaxis: axis(title, {type: "log", ...logTicks(points, show)}), yaxis: axis(`PSNR (dB), ${setName(basis)}`),
    text: point => `${fixed(point.y)} dB, ${show(point.x)}`,
  };
}

/** Ticks where people count: powers of ten and what lies between, for time minutes and hours. */
function logTicks(points, show) {
  const xs = points.map(point => point.x), [low, high] = [Math.min(...xs) / 1.5, Math.max(...xs) * 1.5];
  const steps = high / low > 300 ? [1] : high / low > 8 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
  const times = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 18000, 36000, 86400, 172800, 432800, 864000];
  const counts = Array.from({length: 16}, (_, power) => steps.map(step => step * 10 ** power)).flat();
  const ticks = (show === duration ? times : counts).filter(tick => tick >= low && tick <= high);
  return {tickmode: "array", tickvals: ticks, ticktext: ticks.map(tick => show(tick).replace(".00", "").replace(".0", ""))};
}

function planeFigure(entries) {
  const basis = currentBasis(), {perception} = ranking(state.board, basis), metric = METRICS[perception] ?? METRICS.lpips;
  const {bicubic} = boardEntries(state.board);
  const points = [...entries, bicubic]
    .map(entry => ({entry, x: entry.score(basis, "psnr"), y: perception && entry.score(basis, perception), on: !entry.reference}))
    .filter(point => !missing(point.x) && !missing(point.y));
  return {
    title: perception === "lsd" ? "Distortion and fine detail" : "Distortion and perception", points, better: [1, -1],
    note: points.length ? `${metric.name}, less is better, upwards; ◇ GAN, × bicubic${perception === "lsd" ? "; not all have LPIPS" : ""}` : "no run has LPIPS or LSD",
    xaxis: axis(`PSNR (dB), ${setName(basis)}`), yaxis: axis(axisName(metric), {autorange: "reversed"}),
    text: point => `${fixed(point.x)} dB, ${metric.name} ${fixed(point.y, metric.digits)}`,
  };
}

/** In two lines: an axis is short. */
const axisName = ({name, caution}) => caution ? `${name}: ${caution.replace(", ", ",<br>")}` : name;

function drawFigure(node, {title, points, better, note, xaxis, yaxis, text}, colourOf) {
  const numbers = fronts(points.filter(point => point.on).map(point => [better[0] * point.x, better[1] * point.y]));
  const front = points.filter(point => point.on).filter((_, index) => numbers[index] === 1).sort((one, other) => one.x - other.x || one.y - other.y);
  node.children[0].replaceChildren(element("strong", {}, title), element("span.note", {}, note));
  node.children[1].setAttribute("aria-label", `${title}: ${plural(points.length, "experiment")}; on the front ${listed(front.map(point => point.entry.label)) || "none"}.`);
  const onAxis = value => xaxis.type === "log" ? Math.log10(value) : value;
  const letters = points.flatMap(({entry, x, y}) => {
    const place = selectedPlace(entry.key);
    return place ? [{place, x: onAxis(x), y}] : [];
  });
  plot(node.children[1], [frontTrace(front, better), ...pointTraces(points, new Set(front), text, colourOf)], {
    height: 330, xaxis, yaxis, uirevision: `${state.board} ${title} ${currentBasis()}`,
    annotations: pointLetters(letters, ["x", "y"].map(key => {
      const [low, high] = extent(points.map(point => key === "x" ? onAxis(point.x) : point.y));
      return high - low;
    })),
  });
}

/** Steps between the points of the front: nobody has measured what lies between them. */
function frontTrace(front, better) {
  return {
    type: "scatter", mode: "lines", x: front.map(point => point.x), y: front.map(point => point.y), hoverinfo: "skip",
    line: {color: styleValue("--accent"), width: 1.4, shape: better[0] < 0 ? "hv" : "vh", dash: "dot"},
  };
}

/** Points that none beats are filled, others hollow; GAN runs are diamonds, bicubic a cross. */
function pointTraces(points, front, text, colourOf) {
  const symbol = point => point.entry.reference ? "x-thin-open" : `${point.entry.gan ? "diamond" : "circle"}${front.has(point) ? "" : "-open"}`;
  const order = points.map(point => ({...point, symbol: symbol(point), place: selectedPlace(point.entry.key)}))
    .sort((one, other) => Boolean(one.place) - Boolean(other.place));
  const colours = order.map(point => point.entry.reference ? styleValue("--faint") : colourOf(point.entry));
  return [{
    type: "scatter", mode: "markers", x: order.map(point => point.x), y: order.map(point => point.y),
    marker: {
      symbol: order.map(point => point.symbol), size: order.map(point => point.place ? 12 : 8.5),
      color: colours, line: {width: 1.7, color: colours}, opacity: 1,
    },
    text: order.map(point => `${plainText(point.entry.label)}<br>${text(point)}`), hovertemplate: "%{text}<extra></extra>",
    customdata: order.map(point => point.entry.key), meta: {select: true},
  }];
}
