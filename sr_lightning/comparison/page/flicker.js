"use strict";
// Flicker: two or three pictures at the same place, one after the other; the eye finds what changes.

// What is on, and the timer while it plays. Nothing flickers before somebody asks for it.
const flicker = {list: [], at: 0, timer: 0};

function drawFlicker() {
  const crop = currentCrop();
  if (!crop) return;
  const list = sources(crop), pane = one("#flicker-pane");
  const first = sourceBy(list, state.flick1, selectedId(list, 0), "bicubic");
  const second = sourceBy(list, state.flick2, selectedId(list, 1), "hr");
  const third = state.flick3 === "none" ? null : sourceBy(list, state.flick3, "hr");
  setOptions(one("#flicker-1"), sourceOptions(list), first.id);
  setOptions(one("#flicker-2"), sourceOptions(list), second.id);
  setOptions(one("#flicker-3"), sourceOptions(list, true), third?.id ?? "none");
  flicker.list = [first, second, third].filter(Boolean);
  sizePane(pane, cropSize(crop), bigEnlargement(crop));
  // All are laid over each other, so that a change is one of visibility alone and takes no time.
  one(".layer", pane).replaceChildren(...flicker.list.map(source => picture(source, cropSize(crop))));
  showFlicker(flicker.at % flicker.list.length);
  applyView();
}

function drawRate() {
  one("#rate").value = state.rate;
  one("#rate-text").value = `${state.rate} a second`;
}

function showFlicker(at) {
  flicker.at = at;
  every("#flicker-pane img").forEach((image, index) => image.classList.toggle("off", index !== at));
  const source = flicker.list[at];
  one("#flicker-pane .tag").textContent = [tagOf(source), scoreOf(source)].filter(Boolean).join("  ");
}

function playFlicker(on) {
  clearInterval(flicker.timer);
  flicker.timer = on ? setInterval(() => showFlicker((flicker.at + 1) % flicker.list.length), 1000 / state.rate) : 0;
  one("#play").setAttribute("aria-pressed", String(on));
  one("#play").textContent = on ? "Stop" : "Play";
}

/** While it is held the second picture is shown, then the first again. */
function holdFlicker(on) {
  if (!flicker.list.length) return;
  playFlicker(false);
  showFlicker(on ? 1 : 0);
  one("#hold").classList.toggle("held", on);
}

one("#play").addEventListener("click", () => playFlicker(!flicker.timer));
one("#rate").addEventListener("input", event => {
  update({rate: Number(event.target.value)});
  if (flicker.timer) playFlicker(true);
});
for (const number of [1, 2, 3]) {
  one(`#flicker-${number}`).addEventListener("change", event => update({[`flick${number}`]: event.target.value}));
}
one("#hold").addEventListener("pointerdown", () => holdFlicker(true));
for (const end of ["pointerup", "pointerleave", "pointercancel"]) {
  one("#hold").addEventListener(end, () => one("#hold").matches(".held") && holdFlicker(false));
}
for (const node of [one("#hold"), one("#flicker-pane")]) {
  node.addEventListener("keydown", event => {
    if (event.key !== " ") return;
    event.preventDefault();
    if (!event.repeat) holdFlicker(true);
  });
  node.addEventListener("keyup", event => event.key === " " && holdFlicker(false));
}
