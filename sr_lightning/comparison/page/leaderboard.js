"use strict";
// The table: pixel networks by PSNR, GAN runs by front, what did not finish; references between them.

/** Groups of rows of the board after filters: [{title, entries, ranked}]. */
function tableGroups() {
  const {pixel, gans, unscored, perception} = ranking(state.board, currentBasis());
  const {bicubic, published, unranked} = boardEntries(state.board);
  const references = [bicubic, ...published].filter(entry => !missing(entry.score(currentBasis(), "psnr")));
  const plane = perception ? `PSNR and ${fullName(METRICS[perception])}` : "";
  return [
    {title: `Ranked by PSNR on ${setName(currentBasis())}`, entries: pixel, references, first: true},
    {title: plane ? `GAN runs, by Pareto front of ${plane}` : "GAN runs, not ranked: no perceptual distance was computed", entries: gans},
    {title: `No score on ${setName(currentBasis())}`, entries: unscored},
    {title: "Not ranked: not finished, or made again with the same seed", entries: unranked},
  ].map(group => ({...group, entries: group.entries.filter(passes)}))
    .filter(group => group.entries.length).map(group => ({...group, entries: sorted(group.entries, group.references)}));
}

/** Entries in the chosen order, references among them; without a choice in the order of the ranks. */
function sorted(entries, references = []) {
  const [, sign, id] = state.sort.match(/^(-?)(.*)$/);
  const column = boardColumns(state.board).find(each => each.id === id);
  const byLabel = {value: entry => entry.label};
  const byRank = {value: entry => entry.score(currentBasis(), "psnr")};
  const key = id === "label" ? byLabel : column ?? byRank;
  const rows = [...entries, ...(column && !column.metric ? [] : references)];
  if (!column && id !== "label" && !references.length) return sign ? rows.reverse() : rows;
  const direction = column || id === "label" ? (sign ? -1 : 1) : sign ? 1 : -1;
  const ordered = rows.sort((one, other) => compareValues(key.value(one), key.value(other), direction));
  return column && !column.metric ? [...ordered, ...references] : ordered;
}

/** Numbers by size, words by alphabet; what is missing comes last either way. */
function compareValues(one, other, direction) {
  if (missing(one) || missing(other)) return missing(one) - missing(other);
  const order = typeof one === "number" && typeof other === "number"
    ? one - other : String(one).localeCompare(String(other), "en", {numeric: true});
  return direction * order;
}

function drawLeaderboard() {
  const columns = visibleColumns(), table = one("#table"), board = page.boards[state.board];
  const best = bestScores(columns);
  const bodies = tableGroups().map(group => element("tbody", {}, groupRow(group, columns),
    group.entries.flatMap(entry => entryRows(entry, columns, best))));
  const empty = element("tbody", {}, element("tr", {}, element("td", {colspan: columns.length + 3}, "No run passes these filters.")));
  table.replaceChildren(tableCaption(board), tableHead(columns), ...(bodies.length ? bodies : [empty]));
  one("tbody tr[data-key]", table)?.setAttribute("tabindex", "0");
  one("#board-line").textContent = boardLine(board);
  drawLegend();
}

function boardLine(board) {
  const chosen = board.validation_only ? "Scored on validation images alone, which chose the weights: no benchmark. " : "";
  return `${chosen}×${board.scale}, ${board.protocol_text}`;
}

const tableCaption = board => element("caption.hidden", {}, `Leaderboard of ${boardLine(board)}`);

function tableHead(columns) {
  const spans = [];
  for (const column of columns) {
    if (spans.length && spans.at(-1).group === column.group) spans.at(-1).count += 1;
    else spans.push({group: column.group, count: 1});
  }
  return element("thead", {},
    element("tr.groups", {}, element("td", {colspan: 3}), spans.map(({group, count}) =>
      element(group ? "th.first" : "td", {colspan: count, scope: group ? "colgroup" : null}, group))),
    element("tr.titles", {}, element("td"), headCell({id: "", title: "#", hint: "Rank"}, false),
      headCell({id: "label", title: "Run", hint: "Label"}, false), columns.map((column, index) =>
        headCell(column, column.group && column.group !== columns[index - 1]?.group))));
}

function headCell(column, first) {
  const id = state.sort.replace(/^-/, ""), down = state.sort.startsWith("-");
  const sort = id === column.id ? (down ? "descending" : "ascending") : "none";
  const classes = [column.number && "number", first && "first", column.id === "label" && "label"].filter(Boolean);
  return element(["th", ...classes].join("."), {scope: "col", "aria-sort": sort, "data-column": column.id},
    element("button", {type: "button", title: column.hint, onclick: () => sortBy(column)}, column.title,
      element("span.arrow", {"aria-hidden": "true"}, sort === "none" ? "" : down ? " ↓" : " ↑")));
}

/** First the better way round, then the other, then by rank again. */
function sortBy(column) {
  const orders = column.id === "" ? ["", "-"] : column.descending ? [`-${column.id}`, column.id, ""] : [column.id, `-${column.id}`, ""];
  update({sort: orders[(orders.indexOf(state.sort) + 1) % orders.length]});
}

function groupRow({title, first}, columns) {
  return element(first ? "tr.group.lead" : "tr.group", {}, element("th", {colspan: columns.length + 3, scope: "rowgroup"}, element("span", {}, title)));
}

function entryRows(entry, columns, best) {
  const rows = [entryRow(entry, columns, best)];
  if (entry.runs.length > 1 && state.unfolded.includes(entry.key)) {
    rows.push(...entry.runs.map(run => entryRow(runEntry(run, state.board), columns, new Map(), true)));
  }
  return rows;
}

/** The best of each score, among pixel networks and GAN runs apart; {column: key}. */
function bestScores(columns) {
  const best = new Map();
  const entries = boardEntries(state.board).experiments.filter(passes);
  for (const column of columns.filter(each => each.metric)) {
    const scored = entries.filter(entry => !missing(column.value(entry)));
    const sign = METRICS[column.metric].better;
    const winner = scored.reduce((top, entry) => top && sign * (column.value(top) - column.value(entry)) >= 0 ? top : entry, null);
    if (winner) best.set(column.id, winner.key);
  }
  return best;
}

function drawLegend() {
  const {perception} = ranking(state.board, currentBasis());
  const {experiments} = boardEntries(state.board);
  const parts = [
    "Small figures: the gain over bicubic and, over several seeds, the standard deviation. Bold: the best of a column.",
    "Published rows are a paper's own numbers under the same protocol, of another training.",
    experiments.some(entry => entry.gan) && perception === "lsd"
      && "LSD, the log-spectral distance, stands where LPIPS is missing. It is no perceptual metric: it asks how much fine detail there is, not how it looks, and noise lowers it too.",
  ];
  one("#legend").textContent = parts.filter(Boolean).join(" ");
}
