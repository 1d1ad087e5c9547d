"use strict";
// The selected entries of the board: up to six, in places A to F that keep their letter and colour.

const LETTERS = "ABCDEF";

/** [{letter, entry, colour}] of the places that are taken. */
function selected() {
  return (state.selection ?? firstSelection()).flatMap((key, place) => {
    const entry = key && place < LETTERS.length ? entryOf(state.board, key) : null;
    return entry ? [{letter: LETTERS[place], entry, colour: `var(--${LETTERS[place].toLowerCase()})`}] : [];
  });
}

/** Before anybody chose: the two that lead the board, and its first GAN. */
function firstSelection() {
  const {pixel, gans, unscored} = ranking(state.board, currentBasis());
  return [...pixel.slice(0, 2), ...gans.slice(0, 1), ...(pixel.length + gans.length ? [] : unscored.slice(0, 2))].map(entry => entry.key);
}

const selectedPlace = key => selected().find(place => place.entry.key === key) ?? null;

function toggleSelected(key) {
  const taken = selected();
  const places = [...LETTERS].map(letter => taken.find(place => place.letter === letter)?.entry.key ?? "");
  const at = places.indexOf(key), free = places.indexOf("");
  if (at >= 0) places[at] = "";
  else if (free >= 0) places[free] = key;
  else return tell(`${LETTERS.length} are selected: drop one first.`);
  update({selection: places.join("") ? places : []});
}

/** The set, or ALL_SETS, that ranks the board; a board has all sets or only some of those of another. */
function currentBasis() {
  const bases = basesOf(state.board);
  return bases.includes(state.basis) ? state.basis : bases[0];
}

const setName = set => set === ALL_SETS ? "the mean of the sets" : set;

function badge({letter}) {
  return element(`span.badge.${letter.toLowerCase()}`, {}, letter);
}

function drawChips() {
  one("#chips").replaceChildren(...selected().map(place => element("li", {},
    element("button", {
      type: "button", title: `${place.entry.label}: drop it from the selection`,
      "aria-label": `${place.letter}: ${place.entry.label}, drop`, onclick: () => toggleSelected(place.entry.key),
    }, badge(place), element("span", {}, place.entry.label), element("span.cross", {"aria-hidden": "true"}, "×")))));
}

/** Say something in passing, to ears as well. */
function tell(text) {
  one("#status").value = text;
}
