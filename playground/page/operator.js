// What the owner of the agent may have it do: say a sentence, and leave. Nobody else is shown this.

import { whyNotAsked } from "/failed_calls.js";

export class Operator {
  #panel = document.querySelector("#operator");
  #form = document.querySelector("#operator-say");
  #text = document.querySelector("#operator-text");
  #end = document.querySelector("#operator-end");
  #confirmation = document.querySelector("#operator-confirmation");
  #keep = document.querySelector("#operator-keep");
  #answer = document.querySelector("#operator-answer");
  #operate;
  #asking = false;

  /** `operate(command)` asks the agent and gives its {done, why}. */
  constructor(operate) {
    this.#operate = operate;
    this.#form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (text && (await this.#ask({ do: "say", text }, "The agent will say it."))) this.#text.value = "";
    });
    this.#panel.addEventListener("toggle", () => this.#panel.open && this.#panel.scrollIntoView({ block: "nearest" }));
    this.#end.addEventListener("click", () => this.#confirm(true));
    this.#keep.addEventListener("click", () => this.#confirm(false));
    document.querySelector("#operator-really").addEventListener("click", async () => {
      await this.#ask({ do: "end" }, "The call is ending.");
      this.#confirm(false);
    });
    this.#confirmation.addEventListener("keydown", (event) => event.key === "Escape" && this.#confirm(false));
  }

  /** Takes what the agent told of its session; null when there is no agent. */
  show(session) {
    // Who may change the instructions is the owner of the agent.
    const owner = session !== null && !("system_prompt" in (session.locked ?? {}));
    if (this.#panel.hidden !== owner) return;
    this.#panel.hidden = !owner;
    this.#confirmation.hidden = true;
    this.#end.hidden = false;
    this.#say("", "");
  }

  #confirm(asked) {
    this.#confirmation.hidden = !asked;
    this.#end.hidden = asked;
    // Where the keyboard is must not get lost with the button that it was on.
    (asked ? this.#keep : this.#end).focus();
  }

  /** Whether the agent did it. */
  async #ask(command, said) {
    if (this.#asking) return false;
    this.#asking = true;
    this.#say("Asking the agent…", "");
    try {
      const { done, why } = await this.#operate(command);
      this.#say(done ? said : `Not done: ${why || "the agent gives no reason"}`, done ? "good" : "bad");
      return done === true;
    } catch (error) {
      this.#say(`Not done: ${whyNotAsked(error, "this agent takes no commands.")}`, "bad");
      return false;
    } finally {
      this.#asking = false;
    }
  }

  #say(text, kind) {
    this.#answer.textContent = text;
    this.#answer.dataset.kind = kind;
  }
}
