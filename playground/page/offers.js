// What one may say next, as buttons: a click sends it as typed words, for whoever cannot or will not speak.

const OFFERED = /\bYou can say (.{1,300})$/s;
const QUOTED = /["“]([^"“”]{2,80})["”]/g;
const MOST = 3;

/** The things that the agent offers at the end of what it says: 'You can say "tell me a joke"' offers one. */
export function offersIn(text) {
  const offered = OFFERED.exec(text);
  return offered ? [...offered[1].matchAll(QUOTED)].map(([, words]) => words).slice(0, MOST) : [];
}

/** Buttons for some texts; `say(text)` is called with the one that is clicked. */
export function buttonsFor(texts, say) {
  return texts.map((text) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "offer";
    button.dir = "auto";
    button.textContent = text;
    button.addEventListener("click", () => say(text));
    return button;
  });
}
