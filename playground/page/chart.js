// The two timers, turn by turn: a small chart, their last values and medians, and the same as a table.

import { inWords } from "/duration.js";

const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 24;
const HEIGHT = 104;
const LEFT = 40;
const TOP = 8;
const BOTTOM = 18;
const OUTCOMES = { played: "played to the end", cut: "stopped", abandoned: "broken off" };

export class Chart {
  #turns = [];
  #svg = document.querySelector("#chart");
  #rows = document.querySelector("#chart-rows");
  #section = document.querySelector("#timers");

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#svg);
  }

  /** Takes the record of a turn. A second one for the same reply replaces the first. */
  add({ turn, reply_id: replyId, outcome, interrupted, turn_latency_ms: latency, barge_in_ms: bargeIn }) {
    const record = { turn, replyId, outcome: interrupted ? "interrupted" : outcome, latency: msOrNull(latency), bargeIn: msOrNull(bargeIn) };
    if (record.latency === null && record.bargeIn === null) return;
    const former = this.#turns.findIndex((each) => each.turn === turn && each.replyId === replyId);
    if (former >= 0) this.#turns[former] = record;
    else this.#turns.push(record);
    this.#section.hidden = false;
    this.#tell("latency");
    this.#tell("bargeIn");
    this.#draw();
    this.#fillTable();
  }

  #tell(name) {
    const id = name === "latency" ? "latency" : "barge-in";
    const values = this.#turns.map((turn) => turn[name]).filter((value) => value !== null);
    if (values.length === 0) return;
    document.querySelector(`#${id}-last`).textContent = inWords(values.at(-1));
    document.querySelector(`#${id}-median`).textContent = values.length > 1 ? `median ${inWords(median(values))}` : "";
  }

  #draw() {
    const width = this.#svg.clientWidth;
    if (this.#turns.length === 0 || width === 0) return;
    const turns = this.#turns.slice(-SHOWN);
    const top = niceTop(Math.max(...turns.flatMap((turn) => [turn.latency ?? 0, turn.bargeIn ?? 0])));
    const y = (ms) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - ms / top);
    const step = Math.min(30, (width - LEFT - 8) / turns.length);
    const parts = [];
    for (const ms of [0, top / 2, top]) {
      parts.push(line(LEFT, y(ms), width, y(ms), "grid"));
      parts.push(text(LEFT - 8, y(ms) + 4, ms === 0 ? "0" : `${ms / 1000} s`, "scale"));
    }
    turns.forEach((turn, index) => {
      const x = LEFT + step * (index + 0.5) + 4;
      if (turn.latency !== null) {
        parts.push(line(x, y(0), x, y(turn.latency), "latency"));
        parts.push(make("circle", { cx: x, cy: y(turn.latency), r: 4, class: "latency" }));
      }
      if (turn.bargeIn !== null) {
        // A diamond, so that shape tells it too.
        const [cx, cy] = [x + (turn.latency === null ? 0 : 7), y(turn.bargeIn)];
        parts.push(make("path", { d: `M${cx} ${cy - 5}l5 5l-5 5l-5-5z`, class: "barge-in" }));
      }
      if (turns.length <= 12 || index % 5 === 0) parts.push(text(x, HEIGHT - 2, turn.turn, "turn"));
    });
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute("aria-label", this.#inWords());
    this.#svg.replaceChildren(...parts);
  }

  #inWords() {
    const count = this.#turns.length;
    const last = this.#turns.at(-1);
    const told = [`${count} ${count === 1 ? "turn" : "turns"} timed.`];
    if (last.latency !== null) told.push(`The last was answered in ${inWords(last.latency)}.`);
    if (last.bargeIn !== null) told.push(`At the last interruption it fell silent within ${inWords(last.bargeIn)}.`);
    return told.join(" ");
  }

  #fillTable() {
    const rows = this.#turns.map((turn) => {
      const row = document.createElement("tr");
      const cells = [turn.turn, inWords(turn.latency), inWords(turn.bargeIn), OUTCOMES[turn.outcome] ?? turn.outcome];
      for (const content of cells) row.insertCell().textContent = content;
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
