"use strict";
// Search and filters above the table; scales choose among boards.

const FILTERS = {model: "Model", loss: "Loss", scale: "Scale", data: "Data", ema: "EMA", status: "Status"};

/** What a filter calls a run's value; without averaged weights there is no decay. */
const filterText = (run, key) => key === "ema" && missing(run.ema) ? "no" : String(run[key]);

function passes(entry) {
  return entry.runs.some(run => Object.keys(FILTERS).every(key => !state[key].length || state[key].includes(filterText(run, key))) && found(run));
}

function found(run) {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${run.label} ${run.model} ${run.loss} ${run.data} ${run.folder} ${run.device} ${run.status} ${run.error ?? ""}`.toLowerCase();
  return words.every(word => text.includes(word));
}

/** Runs of the board that pass, finished or not. */
const passingRuns = () => runsOn(state.board).filter(run => passes(runEntry(run, state.board)));

function drawFilters() {
  setOptions(one("#basis"), basesOf(state.board).map(set => ({value: set, text: set === ALL_SETS ? "mean of sets" : set})), currentBasis());
  if (one("#search").value !== state.search) one("#search").value = state.search;
  const shown = Object.keys(FILTERS).filter(key => filterValues(key).length > 1);
  // A menu that is open stays as it is: its boxes are being clicked.
  if (!one("#filters details[open]")) one("#filters").replaceChildren(...shown.map(filterMenu));
  for (const key of shown) filterSummary(key);
  drawColumnMenu();
  one("#reset").hidden = !state.search && !Object.keys(FILTERS).some(key => state[key].length);
  one("#status").value = `${passingRuns().length} of ${plural(runsOn(state.board).length, "run")}`;
}

function filterValues(key) {
  const values = new Set((key === "scale" ? page.runs : runsOn(state.board)).map(run => filterText(run, key)));
  return [...values].sort((one, other) => one.localeCompare(other, "en", {numeric: true}));
}

function filterMenu(key) {
  const boxes = filterValues(key).map(value => element("label", {},
    element("input", {type: "checkbox", value, checked: state[key].includes(value), onchange: () => readFilter(key)}),
    key === "scale" ? `×${value}` : value));
  return element("details.menu", {"data-filter": key}, element("summary", {}, FILTERS[key]), element("div.options", {}, boxes));
}

function readFilter(key) {
  const chosen = every(`[data-filter="${key}"] input:checked`).map(box => box.value);
  update({[key]: chosen, ...(key === "scale" ? boardOfScale(chosen) : {})});
}

/** A board of one of the chosen scales, where the present one is of another. */
function boardOfScale(scales) {
  const fits = board => !scales.length || scales.includes(String(board.scale));
  const board = page.boards.find(fits);
  return fits(page.boards[state.board]) || !board ? {} : boardChange(board.id);
}

function filterSummary(key) {
  const menu = one(`[data-filter="${key}"]`);
  if (!menu) return;
  const chosen = state[key];
  one("summary", menu).textContent = chosen.length ? `${FILTERS[key]}: ${chosen.length > 2 ? chosen.length : chosen.join(", ")}` : FILTERS[key];
  menu.classList.toggle("active", chosen.length > 0);
}

function drawColumnMenu() {
  if (one("#columns").open) return;
  const hidden = hiddenColumns();
  one("#columns .options").replaceChildren(...boardColumns(state.board).map(column => element("label", {},
    element("input", {type: "checkbox", value: column.id, checked: !hidden.includes(column.id), onchange: readColumns}),
    column.group ? `${column.group}: ${column.title}` : column.title)));
}

function readColumns() {
  // Something must stand there, or nothing hidden could not be told from nothing chosen.
  update({hidden: ["none", ...every("#columns input:not(:checked)").map(box => box.value)]});
}

one("#search").addEventListener("input", event => update({search: event.target.value}));
one("#basis").addEventListener("change", event => update({basis: event.target.value}));
one(".controls[role=search]").addEventListener("submit", event => event.preventDefault());
one("#reset").addEventListener("click", () => {
  for (const menu of every("#filters details")) menu.open = false;
  update({search: "", ...Object.fromEntries(Object.keys(FILTERS).map(key => [key, []]))});
  one("#search").focus();
});
// A menu closes when something else is clicked, or by Escape.
document.addEventListener("pointerdown", event => {
  for (const menu of every("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", event => {
  const menu = event.key === "Escape" && document.activeElement.closest("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  one("summary", menu).focus();
});
