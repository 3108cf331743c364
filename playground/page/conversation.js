// The captions of both sides. A caption has a key; the same key again replaces its text, so that words
// appear as they come. The person's unfinished words are shown as such, and a reply that was talked over
// ends where it was heard to end. What the agent offers to be asked can be clicked.

import { inWords } from "/duration.js";
import { buttonsFor, offersIn } from "/offers.js";

const KEPT = 300;

export class Conversation {
  #view = document.querySelector("#captions");
  #list = document.querySelector("#captions ol");
  #nothing = document.querySelector("#nothing-said");
  #toLatest = document.querySelector("#to-latest");
  #captions = new Map();
  #announce;
  #say;
  #typedCount = 0;
  #following = true;
  #height = 0;

  /** `announce(text)` is told each finished caption, `say(text)` what the person clicked instead of saying it. */
  constructor(announce, say) {
    this.#announce = announce;
    this.#say = say;
    this.#view.addEventListener("scroll", () => this.#onScroll());
    this.#toLatest.addEventListener("click", () => this.#scrollToLatest());
    const fit = new ResizeObserver(() => {
      this.#height = this.#view.clientHeight;
      this.#follow();
    });
    for (const element of [this.#view, this.#list]) fit.observe(element);
  }

  /** Takes the words of a caption as they are now. */
  show({ key, segment, speaker, text, final }) {
    let caption = this.#captions.get(key);
    // Words that come after the turn's record of what was heard would be words that were not heard.
    if (caption?.settled) return;
    caption ??= this.#begin(key, segment, speaker);
    caption.text.textContent = text;
    caption.item.dataset.final = final;
    if (final && !caption.final) {
      caption.final = true;
      this.#announce(`${nameOf(speaker)}: ${text}`);
      if (speaker === "agent") this.#offer(caption, offersIn(text));
    }
    this.#follow();
  }

  /** Shows what the person typed; gives a function that says what becomes of it: "" when it was sent. */
  showTyped(text) {
    this.#typedCount += 1;
    const caption = this.#begin(`typed-${this.#typedCount}`, "", "you");
    caption.text.textContent = text;
    caption.item.dataset.final = true;
    caption.item.dataset.typed = true;
    this.#follow();
    return (note, { failed = false } = {}) => {
      caption.note.textContent = note;
      caption.item.toggleAttribute("data-failed", failed);
      if (failed) this.#announce(note);
    };
  }

  /** Takes what somebody typed and the agent does not answer; it is offered to be sent again where it stands. */
  leaveUnanswered({ text, why }) {
    const typed = [...this.#captions.values()].filter(({ item }) => item.dataset.typed && !item.hasAttribute("data-failed"));
    const caption = typed.findLast((each) => each.text.textContent === text);
    if (!caption) return; // somebody else's
    caption.note.textContent = `Not answered: ${why}.`;
    caption.item.toggleAttribute("data-failed", true);
    const [again] = buttonsFor(["Send it again"], () => {
      again.remove();
      this.#say(text);
    });
    again.classList.add("again");
    caption.item.append(again);
    this.#announce(caption.note.textContent);
    this.#follow();
  }

  /** Takes the record of a turn: how the agent's reply ended, and what of it was heard; `latency` is how long it took here. */
  settle({ reply_id: replyId, segment_id: segment = replyId, outcome, interrupted, heard_text: heard }, latency = null) {
    const replies = [...this.#captions.values()].filter((caption) => caption.speaker === "agent");
    const caption = replies.findLast((each) => each.segment === segment) ?? replies.findLast((each) => each.text.textContent === heard);
    if (!caption) return;
    const notes = [];
    if (latency !== null) notes.push(`answered in ${inWords(latency)}`);
    if (outcome === "cut") {
      caption.settled = true;
      caption.item.dataset.cut = true;
      caption.item.dataset.final = true;
      if (heard) caption.text.textContent = heard;
      notes.push(interrupted ? "you interrupted here" : "it stopped here");
    }
    caption.note.textContent = notes.join(" · ");
    this.#follow();
  }

  #begin(key, segment, speaker) {
    const item = document.createElement("li");
    item.className = speaker === "agent" || speaker === "you" ? speaker : "other";
    item.dataset.final = false;
    // All of it runs as its words do; what has a direction of its own does not count.
    item.dir = "auto";
    const who = document.createElement("span");
    who.className = "who";
    who.dir = "ltr";
    who.textContent = nameOf(speaker);
    const text = document.createElement("p");
    const note = document.createElement("small");
    note.dir = "ltr";
    item.append(who, text, note);
    this.#list.append(item);
    const caption = { item, text, note, segment, speaker, final: false, settled: false };
    this.#captions.set(key, caption);
    this.#nothing.hidden = true;
    if (this.#captions.size > KEPT) {
      const [oldest, gone] = this.#captions.entries().next().value;
      this.#captions.delete(oldest);
      gone.item.remove();
    }
    return caption;
  }

  #offer(caption, offers) {
    if (offers.length === 0) return;
    const group = document.createElement("div");
    group.className = "offers";
    group.append(...buttonsFor(offers, this.#say));
    caption.note.before(group);
  }

  #follow() {
    if (this.#following) this.#scrollToLatest();
    else this.#showWay();
  }

  #scrollToLatest() {
    this.#view.scrollTop = this.#view.scrollHeight;
    this.#showWay();
  }

  #onScroll() {
    // A list that became smaller scrolls too, and nobody meant it.
    if (this.#view.clientHeight === this.#height) this.#showWay();
  }

  #showWay() {
    const below = this.#view.scrollHeight - this.#view.scrollTop - this.#view.clientHeight;
    this.#following = below < 40;
    this.#toLatest.hidden = this.#following;
  }
}

function nameOf(speaker) {
  if (speaker === "you") return "You";
  return speaker === "agent" ? "Agent" : speaker;
}
