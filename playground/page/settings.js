// The settings of the session: what the agent told of them, which can be changed now, and why not.

import { whyNotAsked } from "/failed_calls.js";

const FIELDS = [
  { name: "profile", label: "Profile", choices: "profiles", about: "profile_descriptions" },
  { name: "voice", label: "Voice", choices: "voices", next: "next_voice", start: (voice) => `python runner.py --voice ${voice}` },
  { name: "system_prompt", label: "Instructions" },
];
const LONGEST_PROMPT = 10000;

export class Settings {
  #dialog = document.querySelector("#settings");
  #form = document.querySelector("#settings-form");
  #fields = document.querySelector("#settings-fields");
  #waiting = document.querySelector("#settings-waiting");
  #answer = document.querySelector("#settings-answer");
  #apply = document.querySelector("#apply-settings");
  #configure;
  #session = null;
  #inputs = new Map(); // by what is asked to change: {input, was}
  #asking = false;

  /** `configure(changes)` asks the agent and gives its {accepted, why}. */
  constructor(configure) {
    this.#configure = configure;
    document.querySelector("#open-settings").addEventListener("click", () => this.#dialog.showModal());
    document.querySelector("#close-settings").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
  }

  /** Takes what the agent told; null when there is no agent. What the person is editing is kept. */
  show(session) {
    const edited = session === null ? {} : this.#changes();
    this.#session = session;
    this.#inputs.clear();
    this.#fields.replaceChildren();
    this.#waiting.hidden = session !== null;
    if (session === null) this.#answer.textContent = "";
    for (const field of session === null ? [] : FIELDS) this.#addField(field, session, edited);
    for (const [name, why] of Object.entries(session?.locked ?? {})) {
      if (!FIELDS.some((field) => field.name === name)) this.#fields.append(told(name, why));
    }
    this.#apply.hidden = ![...this.#inputs.values()].some(({ input }) => !input.disabled);
  }

  #addField({ name, label, choices, about, next, start }, session, edited) {
    const why = session.locked?.[name] ?? "";
    const now = session[name] ?? "";
    const known = choices ? session[choices] : null;
    // Neither a value, nor a choice, nor a reason: this agent has no such thing.
    if (choices && session[name] === null && !known && !why) return;
    // What is fixed now can still be chosen for the next call: here, if there can be another, or by whoever starts it.
    const later = Boolean(why && next && known && isOwner(session));
    const after = later && session.next_call_after_s;
    const asked = Number.isFinite(after) ? next : name;
    const value = (asked === next && session[next]) || now;
    const input = choices ? choiceOf(known, value, Boolean(why)) : document.createElement("textarea");
    input.id = `setting-${name}`;
    input.name = name;
    if (!choices) {
      input.dir = "auto";
      input.rows = 6;
      input.maxLength = LONGEST_PROMPT;
    }
    input.value = why && asked === name ? value : (edited[asked] ?? value);
    input.disabled = why !== "" && !later;
    const caption = document.createElement("label");
    caption.htmlFor = input.id;
    caption.textContent = later ? `${label} for the next call` : label;
    const note = document.createElement("p");
    note.className = "why";
    note.id = `why-${name}`;
    const tell = () => {
      const chosen = session[about]?.[input.value] ?? "";
      const another = later && input.value !== now;
      const command = another ? document.createElement("code") : "";
      if (command) command.textContent = start(input.value);
      const how = asked === next ? ` To hear ${input.value}, leave, wait ${after} s, and talk again. To have it each time, start the agent with ` : " Next time, start it with ";
      note.replaceChildren(why || chosen, another ? how : "", command);
      note.hidden = note.textContent === "";
    };
    input.addEventListener("change", tell);
    tell();
    input.setAttribute("aria-describedby", note.id);
    const field = document.createElement("div");
    field.className = "field";
    field.append(caption, input, note);
    if (!later || asked === next) this.#inputs.set(asked, { input, was: value });
    this.#fields.append(field);
  }

  #changes() {
    const changes = {};
    for (const [name, { input, was }] of this.#inputs) {
      if (!input.disabled && input.value !== was) changes[name] = input.value;
    }
    return changes;
  }

  async #ask() {
    if (this.#asking) return;
    const changes = this.#changes();
    if (Object.keys(changes).length === 0) {
      this.#say("Nothing to change.", "");
      return;
    }
    this.#asking = true;
    this.#say("Asking the agent…", "");
    try {
      const { accepted, why } = await this.#configure(changes);
      for (const [name, { input }] of accepted ? this.#inputs : []) {
        if (name in changes) this.#inputs.set(name, { input, was: changes[name] });
      }
      const done = Object.keys(changes).join() === "next_voice" ? "Chosen for the next call." : "Changed.";
      this.#say(accepted ? why || done : `Not changed: ${why || "the agent gives no reason"}`, accepted ? "good" : "bad");
    } catch (error) {
      this.#say(`Not changed: ${whyNotAsked(error, "this agent has no settings to change.")}`, "bad");
    } finally {
      this.#asking = false;
    }
  }

  #say(text, kind) {
    this.#answer.textContent = text;
    this.#answer.dataset.kind = kind;
  }
}

// Who may change the instructions is the owner of the agent.
function isOwner(session) {
  return !("system_prompt" in (session.locked ?? {}));
}

function choiceOf(known, value, locked) {
  if (!known) {
    const input = document.createElement("input");
    input.type = "text";
    input.placeholder = locked ? "the agent's own choice" : "";
    return input;
  }
  const select = document.createElement("select");
  const names = known.includes(value) || value === "" ? known : [value, ...known];
  if (value === "") select.append(new Option("the agent's own choice", ""));
  for (const each of names) select.append(new Option(each, each));
  return select;
}

function told(name, why) {
  const paragraph = document.createElement("p");
  paragraph.className = "why";
  paragraph.textContent = `${name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase())}: ${why}`;
  return paragraph;
}
