"use strict";
// The leaderboard as Markdown, for the clipboard.

/** What the table shows, as Markdown. */
function tableMarkdown() {
  const columns = visibleColumns(), cell = text => String(text).replace(/\|/g, "\\|").replace(/\s+/g, " ");
  const titles = ["#", "Run", ...columns.map(column => column.group ? `${column.group} ${column.title}` : column.title)];
  const lines = [titles, titles.map((_, index) => index && !columns[index - 2]?.number ? "---" : "---:")];
  for (const entry of tableGroups().flatMap(group => group.entries)) {
    const rank = rankText(entry), mark = entry.reference ? ` (${entry.kind === "published" ? "published" : "reference"})` : "";
    const state = entry.finished ? "" : ` (${stateText(entry.run)})`;
    lines.push([rank.textContent ?? rank, entry.label + mark + state, ...columns.map(column => column.text(entry))]);
  }
  return `${boardLine(page.boards[state.board])}\n\n${lines.map(line => `| ${line.map(cell).join(" | ")} |`).join("\n")}\n`;
}

async function copyTable() {
  const text = tableMarkdown();
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A browser that keeps the clipboard from files lets a selected text be copied.
    const area = element("textarea", {readonly: true});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  tell("Copied.");
}
one("#copy").addEventListener("click", copyTable);
