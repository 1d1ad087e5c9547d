"use strict";
// Plotly, which is run once the leaderboard stands, and what all plots share.

/** Run plotly from its inert script tag; a second call does nothing. */
function loadPlotly() {
  const source = one("#plotly");
  if (source.type === "text/javascript") return;
  const script = element("script", {type: "text/javascript", id: "plotly"});
  script.textContent = source.textContent;
  source.replaceWith(script);
}

const PLOT_OPTIONS = {
  displaylogo: false, responsive: true, displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  toImageButtonOptions: {format: "svg", filename: "sr_lightning"},
};

function axis(title, more = {}) {
  const [line, faint] = [styleValue("--line"), styleValue("--faint")];
  return {
    title: {text: title, standoff: 8, font: {size: 12, color: faint}}, gridcolor: line, zeroline: false, linecolor: line,
    tickfont: {size: 11.5, color: faint}, ticks: "", automargin: true, ...more,
  };
}

/** Draw traces into a node, in the colours of the page; a click on a point with an entry's key selects the entry. */
function plot(node, traces, layout) {
  loadPlotly();
  const first = !node.classList.contains("js-plotly-plot");
  const drawn = Plotly.react(node, traces, {
    margin: {l: 52, r: 26, t: 14, b: 42}, showlegend: false, hovermode: "closest", dragmode: "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: "system-ui, sans-serif", size: 12, color: styleValue("--ink")},
    hoverlabel: {bgcolor: styleValue("--card"), bordercolor: styleValue("--line"), font: {color: styleValue("--ink"), size: 12.5}, align: "left", namelength: 0},
    ...layout,
  }, PLOT_OPTIONS);
  if (first) node.on("plotly_click", ({points}) => points[0]?.data.meta?.select && toggleSelected(points[0].customdata));
  return drawn;
}

// Ten hues that stay apart for most eyes, on white and on black.
const HUES = ["#3b7dd8", "#e0712c", "#2f9e6e", "#c8509f", "#b08900", "#7d62d6", "#1f9bb5", "#c9483f", "#6f8f2a", "#8c7466"];

/** How entries are coloured: {of(entry), legend: [[name, colour]], quiet}: by place in the selection, or by a fact. */
function colouring() {
  if (state.colour === "selection") {
    const colours = new Map(selected().map(place => [place.entry.key, styleValue(`--${place.letter.toLowerCase()}`)]));
    return {of: entry => colours.get(entry.key) ?? styleValue("--context"), legend: []};
  }
  const values = [...new Set(page.runs.map(run => String(run[state.colour])))].sort();
  const colours = new Map(values.map((value, index) => [value, HUES[index % HUES.length]]));
  const there = new Set(passingRuns().map(run => String(run[state.colour])));
  return {of: entry => colours.get(String(entry.run[state.colour])), legend: [...colours].filter(([value]) => there.has(value))};
}

function drawColours(node, legend) {
  const places = selected().map(place => element("span", {}, badge(place), ` ${place.entry.label}`));
  node.replaceChildren(...(legend.length ? legend.map(([name, colour]) => element("span", {}, element("i", {style: `background:${colour}`}), name)) : places));
}

/** The letters of selected entries at the ends of their lines [{place, x, y}]; where lines meet, side by side. */
function lineLetters(ends, [low, high]) {
  return ends.map((end, index) => {
    const before = ends.slice(0, index).filter(other => Math.abs(other.y - end.y) < (high - low) * 0.05);
    return letterMark(end, {xshift: 9 + 17 * before.length, xanchor: "left"});
  });
}

/** The letters beside points [{place, x, y}]; of points that lie close together the left one has it on its left. */
function pointLetters(points, [width, height]) {
  const close = (one, other) => Math.abs(one.x - other.x) < width * 0.06 && Math.abs(one.y - other.y) < height * 0.08;
  return points.map(point => {
    const near = points.filter(other => close(other, point)).sort((one, other) => one.x - other.x || other.y - one.y);
    const at = near.indexOf(point);
    if (at === near.length - 1) return letterMark(point, {xshift: 9, xanchor: "left"});
    return letterMark(point, at === 0 ? {xshift: -9, xanchor: "right"} : {yshift: 4 + 16 * at, xanchor: "center"});
  });
}

function letterMark({place, x, y}, where) {
  return {
    x, y, text: place.letter, showarrow: false, borderpad: 2, ...where,
    // A letter's colour means nothing beside lines that are coloured by something else.
    bgcolor: styleValue(state.colour === "selection" ? `--${place.letter.toLowerCase()}` : "--ink"),
    font: {size: 11, weight: 700, color: styleValue(state.colour === "selection" ? "--on-badge" : "--page")},
  };
}

/** Let plots shrink to the width of paper, which the style sheet does, or no longer. */
function scalePlots(scaled) {
  for (const drawing of every(".js-plotly-plot .main-svg")) {
    if (scaled) drawing.setAttribute("viewBox", `0 0 ${drawing.getAttribute("width")} ${drawing.getAttribute("height")}`);
    else drawing.removeAttribute("viewBox");
  }
}

/** The smallest and the largest of values, which may be too many to hand over as arguments. */
function extent(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}
