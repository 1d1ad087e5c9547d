"use strict";
// Error maps: |sr - hr|, the mean over the colours, on a fixed scale, so that maps of all runs compare.

// "Inferno" (matplotlib's, CC0) at ten even steps, as in sr_lightning/report/error_map.py.
const INFERNO = ["#000004", "#1b0c41", "#4a0c6b", "#781c6d", "#a52c60", "#cf4446", "#ed6925", "#fb9b06", "#f7d13d", "#fcffa4"]
  .map(colour => [1, 3, 5].map(start => parseInt(colour.slice(start, start + 2), 16)));

/** The colour of a share of the full scale; above it stays the last. */
function errorColour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (INFERNO.length - 1), below = Math.min(Math.floor(place), INFERNO.length - 2);
  return INFERNO[below].map((value, channel) => Math.round(value + (place - below) * (INFERNO[below + 1][channel] - value)));
}

const pixelsByUri = new Map();

/** The pixels of a picture: a promise of ImageData. */
function pixelsOf(key) {
  if (!pixelsByUri.has(key)) pixelsByUri.set(key, readPixels(imageUri(key)));
  return pixelsByUri.get(key);
}

async function readPixels(uri) {
  const image = new Image();
  image.src = uri;
  await image.decode();
  const canvas = element("canvas", {width: image.naturalWidth, height: image.naturalHeight});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** A canvas that is filled once both pictures are read; `top` of the full range, or more, gets the brightest colour. */
function errorCanvas(srKey, hrKey, [width, height], top) {
  const canvas = element("canvas", {width, height});
  Promise.all([pixelsOf(srKey), pixelsOf(hrKey)]).then(([sr, hr]) => {
    canvas.getContext("2d").putImageData(errorPixels(sr, hr, top), 0, 0);
    canvas.dataset.drawn = "true";
  });
  return canvas;
}

function errorPixels(sr, hr, top) {
  const map = new ImageData(hr.width, hr.height);
  for (let at = 0; at < map.data.length; at += 4) {
    let error = 0;
    for (let channel = 0; channel < 3; channel += 1) error += Math.abs(sr.data[at + channel] - hr.data[at + channel]) / 3;
    map.data.set([...errorColour(error / (255 * top)), 255], at);
  }
  return map;
}

function drawColourBar() {
  const canvas = one("#colour-bar"), context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x += 1) {
    context.fillStyle = `rgb(${errorColour(x / (canvas.width - 1)).join(",")})`;
    context.fillRect(x, 0, 1, 1);
  }
  one("#colour-bar-text").textContent = `no error to ${+(100 * state.top).toFixed(1)} % of the full range and above`;
}
