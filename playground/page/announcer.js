// Tells screen readers what happened: finished captions and news of the call, never what is half said.

const CLEARED_AFTER_MS = 4000;

export class Announcer {
  #region = document.querySelector("#announcer");
  #captions = document.querySelector("#announce-captions");

  /** A finished caption, unless the person does not want them. */
  caption(text) {
    if (this.#captions.checked) this.news(text);
  }

  news(text) {
    const line = document.createElement("p");
    line.textContent = text;
    this.#region.append(line);
    setTimeout(() => line.remove(), CLEARED_AFTER_MS);
  }
}
