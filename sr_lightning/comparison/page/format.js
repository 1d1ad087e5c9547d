"use strict";
// Numbers as people read them.

// `caution` says what a metric must not be taken for, wherever something is ordered by it.
const METRICS = {
  psnr: {name: "PSNR", unit: "dB", digits: 2, better: 1, caution: ""},
  ssim: {name: "SSIM", unit: "", digits: 4, better: 1, caution: ""},
  ms_ssim: {name: "MS-SSIM", unit: "", digits: 4, better: 1, caution: ""},
  lpips: {name: "LPIPS", unit: "", digits: 4, better: -1, caution: ""},
  dists: {name: "DISTS", unit: "", digits: 4, better: -1, caution: ""},
  niqe: {name: "NIQE", unit: "", digits: 3, better: -1, caution: ""},
  lsd: {name: "LSD", unit: "dB", digits: 2, better: -1, caution: "log-spectral distance, no perceptual metric: noise lowers it too"},
};
/** A metric's name with its caution: "LSD (log-spectral distance, no perceptual metric: ...)". */
const fullName = ({name, caution}) => caution ? `${name} (${caution})` : name;
const NONE = "–";

const missing = value => value === null || value === undefined || Number.isNaN(value);

/** 32.1 with two digits, with a real minus; NONE where there is no number. */
function fixed(value, digits = 2) {
  return missing(value) ? NONE : value.toFixed(digits).replace("-", "−");
}

/** With its sign: +1.23, −0.04, ±0.00. */
function signed(value, digits = 2) {
  if (missing(value)) return NONE;
  const text = Math.abs(value).toFixed(digits);
  return (Number(text) === 0 ? "±" : value > 0 ? "+" : "−") + text;
}

/** 1.37 M, 52.9 G: three digits that count. */
function counted(value) {
  if (missing(value)) return NONE;
  const [factor, unit] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([size]) => Math.abs(value) >= size) ?? [1, ""];
  const number = value / factor;
  if (!unit) return Number.isInteger(number) ? String(number) : number.toPrecision(3);
  return `${number >= 99.95 ? number.toFixed(0) : number.toPrecision(3)} ${unit}`;
}

/** 20,000: every digit counts. */
const grouped = value => missing(value) ? NONE : Math.round(value).toLocaleString("en");

/** 41 s, 12 min, 3.4 h. */
function duration(seconds) {
  if (missing(seconds)) return NONE;
  if (seconds < 100) return `${seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
  if (seconds < 6000) return `${(seconds / 60).toFixed(0)} min`;
  return `${(seconds / 3600).toFixed(seconds < 36e4 ? 1 : 0)} h`;
}

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const listed = items => items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;

/** A text for plotly, which reads some tags and entities in texts. */
const plainText = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
