"use strict";
// Whether a difference is more than chance: the paired bootstrap between two sides, drawn, and said in plain words.

/** Scores of both sides [seed][image] for each set, on the images that all their runs have, of `all`; null without any. */
function pairedGroups(first, second, set, metric) {
  const groups = (set === ALL_SETS ? page.boards[state.board].common_sets : [set]).map(name => {
    const runs = [...first.runs, ...second.runs];
    const all = [...new Set(runs.flatMap(run => Object.keys(run.per_image[name] ?? {})))];
    const images = all.filter(image => runs.every(run => !missing(run.per_image[name]?.[image]?.[metric])));
    const scores = entry => entry.runs.map(run => images.map(image => run.per_image[name][image][metric]));
    return {set: name, all, images, first: scores(first), second: scores(second)};
  });
  const shared = groups.filter(group => group.images.length);
  return shared.length ? shared : null;
}

/** The two sides: what was chosen, else the first two of the selection, else what leads. */
function testSides() {
  const {experiments} = boardEntries(state.board);
  const entries = [...selected().map(place => place.entry), ...experiments].filter((entry, index, all) => entry.finished && all.findIndex(each => each.key === entry.key) === index);
  const first = entries.find(entry => entry.key === state.first) ?? entries[0];
  const second = entries.find(entry => entry.key === state.second) ?? entries.find(entry => entry !== first);
  return {entries, first, second};
}

function drawSignificance() {
  const {entries, first, second} = testSides(), node = one("#test");
  const options = entries.map(entry => ({value: entry.key, text: [selectedPlace(entry.key)?.letter, entry.label].filter(Boolean).join("  ")}));
  setOptions(one("#first-side"), options, first?.key);
  setOptions(one("#second-side"), options, second?.key);
  const set = setOptions(one("#test-set"), basesOf(state.board).map(value => ({value, text: value === ALL_SETS ? "all sets, each counting alike" : value})), state.testSet || currentBasis());
  const there = Object.keys(METRICS).filter(metric => first && second && pairedGroups(first, second, set, metric));
  const metric = setOptions(one("#test-metric"), there.map(value => ({value, text: METRICS[value].name})), state.testMetric);
  if (!first || !second) return node.replaceChildren(element("p", {}, "It takes two finished experiments of the board."));
  if (!metric) return node.replaceChildren(element("p", {}, "These two have no scores of the same single images."));
  const groups = pairedGroups(first, second, set, metric), result = bootstrap(groups);
  node.replaceChildren(testWords(first, second, set, metric, result, groups), result.low === null ? "" : histogram(result, METRICS[metric]),
    imageBars(groups, first, second, METRICS[metric]));
}

function testWords(first, second, set, metric, result, groups) {
  const {unit, digits, name} = METRICS[metric], {difference, low, high} = result;
  return element("div.words", {},
    element("p.figure", {}, element("strong", {}, signed(difference, digits)), unit,
      low === null ? null : element("span", {}, `95 % interval ${signed(low, digits)} to ${signed(high, digits)}`)),
    element("p", {}, element("b", {}, claim(result, METRICS[metric], first, second)), ` ${first.label} less ${second.label}, ${name} on ${setName(set)}.`),
    element("p.note", {}, [METRICS[metric].caution && `${fullName(METRICS[metric])}. `, limits(result, groups)]));
}

function claim({difference, low, high, images}, {better}, first, second) {
  if (low === null) return `Cannot tell: ${tooFew(images)}.`;
  if (low === 0 && high === 0) return "Both have the same scores.";
  if (low <= 0 && high >= 0) return "Cannot tell which is better: the interval holds zero.";
  return `${better * difference > 0 ? first.label : second.label} is better: the interval leaves zero out.`;
}

/** What so many images and seeds can tell, and what not. */
function limits({images, seeds: [first, second], samples}, groups) {
  const all = groups.reduce((sum, group) => sum + group.all.length, 0);
  const drawn = samples.length ? `${RESAMPLES.toLocaleString("en")} resamples of ` : "";
  const parts = [`${drawn}${plural(images, "image")}, ${plural(first, "seed")} against ${second}.`];
  if (images < all) parts.push(`${images} of ${all} images are scored on both sides; only they count.`);
  if (images < 6) {
    parts.push(`${plural(images, "image")} cannot settle much: even a win on every one has p = ${smallestSignP(images).toPrecision(2)} in a sign test.`);
  }
  if (images < 30) parts.push(`${plural(images, "image")} speak of photographs like these, not of a benchmark.`);
  if (first === 1 && second === 1) parts.push("One seed each: training noise is not in the interval; another seed may turn it round.");
  else if (Math.min(first, second) === 1) parts.push("Training noise of the side with one seed is not in the interval.");
  else if (Math.min(first, second) < 5) parts.push("Training noise is in the interval, roughly known from so few seeds.");
  return parts.join(" ");
}

// --------------------------------------------------------------------------------------------------------------- plots

const WIDTH = 460, HEIGHT = 190, FLOOR = HEIGHT - 34;

/** Resampled differences as a histogram, with the interval below and zero marked. */
function histogram({samples, low, high, difference}, {digits, unit, name}) {
  const [from, to] = [Math.min(samples[0], 0), Math.max(samples.at(-1), 0)], span = to - from || 1;
  const x = value => 14 + (WIDTH - 28) * (value - from) / span;
  const bins = new Array(48).fill(0);
  for (const value of samples) bins[Math.min(Math.floor((value - from) / span * bins.length), bins.length - 1)] += 1;
  const top = Math.max(...bins), width = (WIDTH - 28) / bins.length;
  const bars = bins.map((count, index) => {
    const centre = from + (index + 0.5) * span / bins.length, height = (FLOOR - 12) * count / top;
    return shape("rect", {x: 14 + index * width + 0.5, y: FLOOR - height, width: width - 1, height, class: centre < low || centre > high ? "tail" : "bulk"});
  });
  const label = `${name} differences of the resamples: ${signed(low, digits)} to ${signed(high, digits)} holds 95 %.`;
  return element("figure", {}, shape("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, class: "histogram"}, bars,
    shape("line", {x1: x(0), x2: x(0), y1: 4, y2: FLOOR, class: "zero"}), shape("text", {x: x(0), y: HEIGHT - 2, "text-anchor": "middle"}, "0"),
    shape("line", {x1: x(low), x2: x(high), y1: FLOOR + 8, y2: FLOOR + 8, class: "interval"}),
    shape("circle", {cx: x(difference), cy: FLOOR + 8, r: 4.5, class: "centre"})),
  element("figcaption.note", {}, `Differences of the resamples${unit && ` in ${unit}`}; the bar below holds 95 % of them.`));
}

const sideColour = entry => selectedPlace(entry.key)?.colour ?? "var(--context)";

/** The difference on each image, sorted, in the colour of the side that is better on it. */
function imageBars(groups, first, second, {digits, better}) {
  const bars = groups.flatMap(group => imageDifferences(group).map((value, index) => ({value, image: group.images[index], set: group.set})));
  bars.sort((one, other) => other.value - one.value);
  const from = Math.min(0, bars.at(-1).value), to = Math.max(0, bars[0].value), span = to - from || 1;
  const y = value => 8 + (HEIGHT - 28) * (to - value) / span, width = Math.min((WIDTH - 8) / bars.length, 34);
  const wins = bars.filter(bar => better * bar.value > 0).length;
  const drawn = bars.map(({value, image, set}, index) => shape("rect", {
    x: 4 + index * width + 0.5, width: Math.max(width - 1, 0.8), y: Math.min(y(value), y(0)), height: Math.max(Math.abs(y(value) - y(0)), 0.6),
    style: `fill:${sideColour(better * value > 0 ? first : second)}`,
  }, shape("title", {}, `${set}, ${image}: ${signed(value, digits)}`)));
  return element("figure", {}, shape("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "bars",
    "aria-label": `Better on ${wins} of ${bars.length} images: ${first.label}`}, drawn, shape("line", {x1: 0, x2: WIDTH, y1: y(0), y2: y(0), class: "zero"})),
  element("figcaption.note", {}, `The difference on each image, sorted: ${first.label} is better on ${wins} of ${bars.length}.`));
}

for (const [id, key] of [["#first-side", "first"], ["#second-side", "second"], ["#test-set", "testSet"], ["#test-metric", "testMetric"]]) {
  one(id).addEventListener("change", event => update({[key]: event.target.value}));
}
