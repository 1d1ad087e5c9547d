"use strict";
// Hands and keys in the leaderboard: selecting, unfolding, moving from row to row.

one("#table").addEventListener("click", event => {
  const row = event.target.closest("tr[data-key]");
  if (!row) return;
  if (event.target.closest(".fold")) toggleFold(row.dataset.key);
  // Somebody who marks text to copy it does not want to select the run.
  else if (!row.matches(".reference") && !String(getSelection())) toggleSelected(row.dataset.key);
  focusRow(row.dataset.key);
});

one("#table").addEventListener("keydown", event => {
  const row = event.target.closest("tr[data-key]");
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const {key} = row.dataset, rows = every("tr[data-key]", one("#table"));
  const beside = by => rows[Math.min(Math.max(rows.indexOf(row) + by, 0), rows.length - 1)].dataset.key;
  const fold = open => state.unfolded.includes(key) !== open && row.querySelector(".fold") && toggleFold(key);
  const select = () => row.matches(".reference") || toggleSelected(key);
  const action = {
    ArrowDown: () => focusRow(beside(1)), ArrowUp: () => focusRow(beside(-1)), Home: () => focusRow(rows[0].dataset.key),
    End: () => focusRow(rows.at(-1).dataset.key), x: select, Enter: select, ArrowRight: () => fold(true), ArrowLeft: () => fold(false),
  }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
  if (!event.key.match(/Down|Up|Home|End/)) focusRow(key);
});

/** Put the focus on a row; after a change the row is a new one. */
function focusRow(key) {
  requestAnimationFrame(() => {
    const rows = every("tr[data-key]", one("#table")), row = rows.find(each => each.dataset.key === key);
    if (!row) return;
    for (const each of rows) each.tabIndex = each === row ? 0 : -1;
    row.focus({preventScroll: false});
  });
}

function toggleFold(key) {
  const folded = state.unfolded.includes(key);
  update({unfolded: folded ? state.unfolded.filter(each => each !== key) : [...state.unfolded, key]});
}
