"use strict";
// What may be compared: one card per scale, protocol and LR; and who leads the chosen one, by how much, and how surely.

function drawBoards() {
  const shown = page.boards.filter(board => !state.scale.length || state.scale.includes(String(board.scale)));
  one("#board-cards").replaceChildren(...(page.boards.length > 1 ? shown.map(boardCard) : []));
  one("#verdict").replaceChildren(...verdict());
}

function boardCard(board) {
  const [basis] = basesOf(board.id);
  const {pixel, gans} = ranking(board.id, basis), [winner] = pixel.length ? pixel : gans;
  const count = runsOn(board.id).length;
  return element("button.card", {type: "button", "aria-pressed": String(board.id === state.board), "data-board": board.id,
    title: board.protocol_text, onclick: () => update(boardChange(board.id))},
    element("span.scale", {}, `×${board.scale}`),
    element("span.what", {}, element("span", {}, [board.protocol.name, ...boardTraits(board)].join(" · ")),
      element("strong", {}, winner ? winner.label : "nothing finished"),
      element("span", {}, [winner && !missing(winner.gain(basis)) && besideBicubic(winner.gain(basis)), plural(count, "run")].filter(Boolean).join(" · "))));
}

/** +2.26 dB over bicubic, 2.26 dB below bicubic. */
const besideBicubic = gain => isBelow(gain) ? `${fixed(-gain)} dB below bicubic` : `${signed(gain)} dB over bicubic`;

const isBelow = gain => gain !== null && Number(gain.toFixed(2)) < 0;

/** What tells a board from others of its scale and protocol: the parts of its line that they do not share. */
function boardTraits(board) {
  const alike = page.boards.filter(other => other.scale === board.scale && other.protocol.name === board.protocol.name);
  const traits = each => [...each.protocol_text.split(": ").slice(1).join(": ").split(", "), ...(each.validation_only ? ["validation images alone"] : [])];
  return traits(board).filter(trait => !alike.every(other => traits(other).includes(trait)));
}

/** What changes with the board: everything that names something of the former one. */
const boardChange = board => ({board, selection: null, unfolded: [], crop: -1, left: "", right: "", flick1: "", flick2: "", flick3: "",
  imageSet: "", first: "", second: "", testSet: "", sort: "", hidden: []});

function verdict() {
  const basis = currentBasis(), {pixel} = ranking(state.board, basis), [first, second] = pixel;
  if (!first) return ["No pixel network has finished on this board."];
  const gain = first.gain(basis);
  const lead = [element("strong", {}, first.label), ` ${isBelow(gain) ? "is first" : "leads"} on ${setName(basis)} with ${fixed(first.score(basis, "psnr"))} dB`,
    gain === null ? "" : `, ${besideBicubic(gain)}`];
  if (!second) return [...lead, "."];
  const ahead = first.score(basis, "psnr") - second.score(basis, "psnr");
  return [...lead, `; ${fixed(ahead)} dB ahead of `, element("strong", {}, second.label), ". ", ...certainty(first, second, basis)];
}

function certainty(first, second, basis) {
  const groups = pairedGroups(first, second, basis, "psnr");
  if (!groups) return ["No scores of single images: how sure that is cannot be told."];
  const {low, high, images, seeds} = bootstrap(groups);
  if (low === null) return [`Cannot tell whether that is chance: ${tooFew(images)}.`];
  const real = low > 0 || high < 0, noise = Math.min(...seeds) < 2 ? "; another seed may turn it round" : "";
  return [element(`span.${real ? "sure" : "unsure"}`, {}, real ? "More than chance" : "That may be chance"),
    `: 95 % interval ${signed(low)} to ${signed(high)} dB over ${plural(images, "image")} and ${plural(seeds[0], "seed")} against ${seeds[1]}${noise}.`];
}
