"use strict";
// One row of the leaderboard: its cells, its marks, and what is said below its label.

function entryRow(entry, columns, best, seed = false) {
  const place = selectedPlace(entry.key);
  const classes = ["tr", entry.reference && entry.kind, entry.reference && "reference", seed && "seed", place && "selected", place && place.letter.toLowerCase()];
  return element(classes.filter(Boolean).join("."), {"data-key": entry.key, tabindex: "-1"},
    element("td.pick", {}, entry.reference ? null : pickButton(entry, place)),
    element("td.rank", {}, seed ? "" : rankText(entry)),
    element("th.label", {scope: "row"}, labelCell(entry, seed)),
    columns.map((column, index) => bodyCell(column, entry, best, column.group && column.group !== columns[index - 1]?.group)));
}

function bodyCell(column, entry, best, first) {
  const classes = ["td", column.number && "number", first && "first", best.get(column.id) === entry.key && "best"];
  const text = column.cell ? null : column.text(entry);
  return element(classes.filter(Boolean).join("."), {"data-column": column.id, title: text && text.length > 24 ? text : null},
    column.cell ? column.cell(entry) : element("span.fact", {}, text));
}

function pickButton(entry, place) {
  return element("button.pick", {
    type: "button", tabindex: "-1", "aria-pressed": String(Boolean(place)),
    "aria-label": place ? `${place.letter}: drop ${entry.label}` : `Select ${entry.label}`,
  }, place ? place.letter : "");
}

function rankText(entry) {
  const {place, front, perception} = ranking(state.board, currentBasis());
  if (!entry.gan) return String(place.get(entry.key) ?? "");
  return front.has(entry.key) ? element("span", {title: `On Pareto front ${front.get(entry.key)} of PSNR and ${fullName(METRICS[perception])}; 1 is the best`}, `F${front.get(entry.key)}`) : "";
}

function labelCell(entry, seed) {
  if (entry.reference) return [element("span.name", {}, entry.label), element("span.mark", {}, entry.kind === "published" ? "published" : "reference")];
  const folded = !state.unfolded.includes(entry.key);
  const name = seed ? `seed ${entry.run.seed ?? NONE}` : entry.label;
  const fold = entry.runs.length > 1 && element("button.fold", {
    type: "button", tabindex: "-1", "aria-expanded": String(!folded), "aria-label": `Seeds of ${entry.label}`,
  }, folded ? "▸" : "▾", ` ${entry.runs.length} seeds`);
  const under = underLabel(entry, seed);
  return [element("span.name", {title: entry.run.folder}, name), fold || null, marks(entry), under ? element("small", {}, under) : null];
}

function marks(entry) {
  const {run} = entry;
  return [
    run.status !== "finished" && [run.status, run.status, stateText(run)],
    entry.gan && ["", "GAN", "Trained against a discriminator"],
    run.overlap > 0 && ["warning", "leak", `${plural(run.overlap, "training image")} of it is evaluated as well`],
    run.random_features && ["warning", "random features", "Its perceptual loss compared features that nobody trained"],
  ].filter(Boolean).map(([kind, text, title]) => element(kind ? `span.mark.${kind}` : "span.mark", {title}, text));
}

/** Below the label: what ended it, or what sets it apart from other runs. */
function underLabel(entry, seed) {
  if (entry.run.status !== "finished") return stateText(entry.run);
  if (entry.kind === "run" && !seed) return "there is a later run with the same seed";
  // The label names some of them.
  const others = Object.entries(seed ? {} : entry.run.overrides).filter(([key]) => !entry.label.includes(`${key.split(".").at(-1)}=`));
  return others.map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`).join("  ");
}

function stateText(run) {
  const far = `step ${run.steps ?? 0}${run.max_steps ? ` of ${run.max_steps}` : ""}`;
  return `${run.status} at ${far}${run.error ? `: ${run.error}` : ""}`;
}
