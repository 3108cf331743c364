// The two timers, turn by turn: their last values as this browser heard them, with the agent's part of each, their
// medians, a small chart from the third turn on, and the same as a table.

import { inWords } from "/duration.js";

const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 24;
const FEWEST = 3;
const HEIGHT = 112;
const LEFT = 40;
const TOP = 8;
const BOTTOM = 18;
const GOOD = 90; // for two words
// From here on people notice that they wait (docs/observing.md).
const NOTICED_MS = 1500;
const OUTCOMES = { played: "played to the end", cut: "stopped", abandoned: "broken off" };
const TIMERS = [
  { name: "latency", id: "latency" },
  { name: "bargeIn", id: "barge-in" },
];

export class Chart {
  #turns = [];
  #svg = document.querySelector("#chart");
  #rows = document.querySelector("#chart-rows");

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#svg);
  }

  /** Takes the agent's record of a turn, and its timers as they were here (see listener.js). A second one for the same reply replaces the first. */
  add({ turn, reply_id: replyId, outcome, interrupted, turn_latency_ms: latency, barge_in_ms: bargeIn }, here) {
    const agents = { latency: msOrNull(latency), bargeIn: msOrNull(bargeIn) };
    if (agents.latency === null && agents.bargeIn === null) return;
    const index = this.#turns.findIndex((each) => each.turn === turn && each.replyId === replyId);
    const former = this.#turns[index]?.here;
    const record = {
      turn,
      replyId,
      outcome: interrupted ? "interrupted" : outcome,
      agents,
      here: { latency: here.latency ?? former?.latency ?? null, bargeIn: here.bargeIn ?? former?.bargeIn ?? null },
    };
    if (index >= 0) this.#turns[index] = record;
    else this.#turns.push(record);
    for (const timer of TIMERS) this.#tell(timer);
    this.#svg.toggleAttribute("hidden", this.#turns.length < FEWEST);
    this.#draw();
    this.#fillTable();
  }

  #tell({ name, id }) {
    const last = this.#turns.findLast((turn) => turn.agents[name] !== null);
    if (!last) return;
    const show = (part, what, ms) => {
      const figure = document.createElement("span");
      figure.textContent = inWords(ms);
      document.querySelector(`#${id}-${part}`).replaceChildren(what, figure);
    };
    show("last", "", last.here[name]);
    show("agent", last.here[name] === null ? "in the agent: " : "of it in the agent: ", last.agents[name]);
    const values = this.#turns.map((turn) => turn.here[name]).filter((value) => value !== null);
    if (values.length > 1) show("median", `median of ${values.length} turns: `, median(values));
  }

  #draw() {
    // As high as letters are big, and drawn in that scale.
    const width = (this.#svg.clientWidth / this.#svg.clientHeight) * HEIGHT;
    if (this.#turns.length < FEWEST || !(width > 0)) return;
    const first = Math.max(0, this.#turns.length - SHOWN);
    const turns = this.#turns.slice(first);
    const shown = (turn, name) => turn.here[name] ?? turn.agents[name];
    const top = niceTop(Math.max(...turns.flatMap((turn) => TIMERS.map(({ name }) => shown(turn, name) ?? 0))));
    const y = (ms) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - ms / top);
    const step = Math.min(34, (width - LEFT - 8) / turns.length);
    const good = y(Math.min(top, NOTICED_MS));
    const parts = [make("rect", { x: LEFT, y: good, width: width - LEFT, height: y(0) - good, class: "good" })];
    for (const ms of [0, top / 2, top]) {
      parts.push(line(LEFT, y(ms), width, y(ms), "grid"));
      parts.push(text(LEFT - 8, y(ms) + 4, ms === 0 ? "0" : `${ms / 1000} s`, "scale"));
    }
    if (LEFT + step * turns.length < width - GOOD) parts.push(text(width - 6, good + 13, "a good answer", "told"));
    turns.forEach((turn, index) => {
      const x = LEFT + step * (index + 0.5) + 4;
      const kind = (name, own) => (turn.here[name] === null ? `${own} agents` : own);
      const [latency, bargeIn] = TIMERS.map(({ name }) => shown(turn, name));
      if (latency !== null) {
        parts.push(line(x, y(0), x, y(latency), kind("latency", "latency")));
        parts.push(make("circle", { cx: x, cy: y(latency), r: 4, class: kind("latency", "latency") }));
      }
      if (bargeIn !== null) {
        // A diamond, so that shape tells it too.
        const [cx, cy] = [x + (latency === null ? 0 : 8), y(bargeIn)];
        parts.push(make("path", { d: `M${cx} ${cy - 5}l5 5l-5 5l-5-5z`, class: kind("bargeIn", "barge-in") }));
      }
      const number = first + index + 1;
      if (turns.length <= 12 || number % 5 === 0) parts.push(text(x, HEIGHT - 2, number, "turn"));
    });
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute("aria-label", this.#inWords());
    this.#svg.replaceChildren(...parts);
  }

  #inWords() {
    const count = this.#turns.length;
    const last = this.#turns.at(-1);
    const told = [`${count} ${count === 1 ? "turn" : "turns"} timed.`];
    if (last.here.latency !== null) told.push(`The last was answered in ${inWords(last.here.latency)}.`);
    if (last.here.bargeIn !== null) told.push(`At the last interruption it fell silent within ${inWords(last.here.bargeIn)}.`);
    return told.join(" ");
  }

  #fillTable() {
    const rows = this.#turns.map((turn, index) => {
      const row = document.createElement("tr");
      const timers = TIMERS.flatMap(({ name }) => [inWords(turn.here[name]), inWords(turn.agents[name])]);
      for (const content of [index + 1, ...timers, OUTCOMES[turn.outcome] ?? turn.outcome]) row.insertCell().textContent = content;
      return row;
    });
    this.#rows.replaceChildren(...rows.reverse());
  }
}

function msOrNull(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.round(value) : null;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2);
}

function niceTop(ms) {
  return [500, 1000, 2000, 3000, 5000, 10000, 20000].find((top) => ms <= top) ?? Math.ceil(ms / 10000) * 10000;
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function line(x1, y1, x2, y2, kind) {
  return make("line", { x1, y1, x2, y2, class: kind });
}

function text(x, y, content, kind) {
  const element = make("text", { x, y, class: kind });
  element.textContent = content;
  return element;
}
