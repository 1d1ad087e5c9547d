"use strict";
// Means over seeds, Pareto fronts, and the paired bootstrap of sr_lightning/comparison/statistics.py, which says why it
// widens resamples and takes quantiles of a t distribution.

const RESAMPLES = 10000;
// Fewer images have no interval, and how much a set of one varies, nothing shows: _FEWEST of statistics.py.
const FEWEST = 5;

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

/** Standard deviation of a sample; null for a single value, which says nothing of spread. */
function deviation(values) {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

/** Numbers in [0, 1) that follow from a seed: mulberry32 by Tommy Ettinger. */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Fronts of points [x, y] of which more is better: 1 for those that no other point beats in one and equals or beats in
 * the other, 2 for those that only the first front beats, and so on.
 */
function fronts(points) {
  const numbers = points.map(() => 0);
  const beats = (one, other) => one[0] >= other[0] && one[1] >= other[1] && (one[0] > other[0] || one[1] > other[1]);
  for (let front = 1; numbers.includes(0); front += 1) {
    const left = points.map((point, index) => index).filter(index => !numbers[index]);
    const free = left.filter(index => !left.some(other => beats(points[other], points[index])));
    for (const index of free) numbers[index] = front;
  }
  return numbers;
}

/**
 * The difference of two sides' mean scores, and how it varies over images and seeds drawn anew.
 *
 * groups: one per set, {first, second}: scores [seed][image]; images of a group are the same in both. Each group counts
 * alike in the mean. Returns {difference, samples (sorted), low, high, images, seeds}; low and high are null for
 * fewer than five images, or a set of one.
 */
function bootstrap(groups, {resamples = RESAMPLES, seed = 0} = {}) {
  const images = groups.map(group => group.first[0].length), seeds = ["first", "second"].map(side => groups[0][side].length);
  const told = {difference: mean(groups.map(group => mean(imageDifferences(group)))), images: images.reduce((sum, count) => sum + count), seeds};
  if (told.images < FEWEST || Math.min(...images) < 2) return {...told, samples: [], low: null, high: null};
  const samples = resampled(groups, randomNumbers(seed), resamples), outside = tail(groups);
  return {...told, samples, low: quantile(samples, outside), high: quantile(samples, 1 - outside)};
}

/** Differences of resamples, sorted: images are drawn for both sides alike, seeds within each side for all sets alike. */
function resampled(groups, random, count) {
  const samples = new Float64Array(count);
  for (let sample = 0; sample < count; sample += 1) {
    const [first, second] = ["first", "second"].map(side => drawnWeights(groups[0][side].length, random));
    let total = 0;
    for (const group of groups) {
      const weights = drawnWeights(group.first[0].length, random);
      first.forEach((weight, run) => { total += weight * dot(weights, group.first[run]); });
      second.forEach((weight, run) => { total -= weight * dot(weights, group.second[run]); });
    }
    samples[sample] = total / groups.length;
  }
  return samples.sort();
}

/** Weights of `size` values drawn with replacement, widened to vary as much as a mean of so few values does. */
function drawnWeights(size, random) {
  if (size === 1) return [1];
  const wide = Math.sqrt(size / (size - 1)), weights = new Float64Array(size).fill((1 - wide) / size);
  for (let draw = 0; draw < size; draw += 1) weights[Math.floor(random() * size)] += wide / size;
  return weights;
}

function dot(weights, values) {
  let sum = 0;
  for (let index = 0; index < values.length; index += 1) sum += weights[index] * values[index];
  return sum;
}

/** The difference of each image: the mean over the seeds of the first side less that of the second. */
function imageDifferences({first, second}) {
  return first[0].map((_, image) => mean(first.map(scores => scores[image])) - mean(second.map(scores => scores[image])));
}

/** The share of resamples on each side of the interval: 0.025 for many images and seeds, less for few. */
function tail(groups) {
  const parts = groups.map(group => spreadPart(imageDifferences(group), groups.length));
  for (const side of ["first", "second"]) {
    const runs = groups[0][side].map((_, run) => mean(groups.map(group => mean(group[side][run]))));
    if (runs.length > 1) parts.push(spreadPart(runs, 1));
  }
  const total = parts.reduce((sum, part) => sum + part.variance, 0);
  const squares = parts.reduce((sum, part) => sum + part.variance ** 2 / part.freedom, 0);
  return normalShareBelow(-studentQuantile(0.975, squares > 0 ? total ** 2 / squares : 1));
}

const spreadPart = (values, sets) => ({variance: deviation(values) ** 2 / values.length / sets ** 2, freedom: values.length - 1});

/** The quantile of Student's t distribution, by integrating its density with t = sqrt(freedom) * tan(angle). */
function studentQuantile(probability, freedom) {
  const steps = 20000, width = Math.PI / 2 / steps, integral = new Float64Array(steps + 1);
  const density = step => Math.cos(step * width) ** (freedom - 1);
  for (let step = 1; step <= steps; step += 1) integral[step] = integral[step - 1] + (density(step - 1) + density(step)) / 2;
  const wanted = (2 * probability - 1) * integral[steps], above = integral.findIndex(value => value >= wanted);
  const part = (wanted - integral[above - 1]) / (integral[above] - integral[above - 1]);
  return Math.sqrt(freedom) * Math.tan((above - 1 + part) * width);
}

/** The normal distribution's function: Abramowitz and Stegun 26.2.17, right to 7.5e-8. */
function normalShareBelow(value) {
  const t = 1 / (1 + 0.2316419 * Math.abs(value));
  const series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const beyond = series * Math.exp(-value * value / 2) / Math.sqrt(2 * Math.PI);
  return value < 0 ? beyond : 1 - beyond;
}

/** Of sorted values, with linear interpolation between neighbours. */
function quantile(sorted, share) {
  const place = share * (sorted.length - 1), below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

/** Why there is no interval. */
const tooFew = images => (images < FEWEST ? `fewer than ${FEWEST} images have no interval` : "a set of one image has no interval");

/** Two-sided p of the sign test where one side wins on each of n images: the smallest that n images can give. */
const smallestSignP = images => 2 ** (1 - images);
