// The moving picture of both voices: a tape on which the agent is written above a line and the person
// below. It shows at a glance who spoke when, the gap before an answer, and where one talked over the
// other. Where less motion is preferred, nothing travels: there are two plain bars.

const BAR_MS = 80;
const BAR_PX = 3;
const STEP_PX = 5;
const CALM_MS = 200;
const MARKED_WITHIN_MS = 8000;

export class Tape {
  #canvas;
  #levels;
  #onLevels;
  #bars = []; // newest last: {agent, you, mark}
  #current = { agent: 0, you: 0, mark: false };
  #barBegan = 0;
  #drawn = 0;
  #running = false;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  /** `levels()` gives {agent, you} now; `onLevels` is told them each time a frame is drawn. */
  constructor(canvas, levels, onLevels) {
    this.#canvas = canvas;
    this.#levels = levels;
    this.#onLevels = onLevels;
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#barBegan = performance.now();
    requestAnimationFrame((now) => this.#frame(now));
  }

  stop() {
    this.#running = false;
  }

  /** Marks where the agent fell silent after the person had begun; where both were never heard, where it was heard last. */
  mark() {
    // It may have begun to answer already.
    const lately = [...this.#bars.slice(-MARKED_WITHIN_MS / BAR_MS), this.#current];
    let at = lately.findLastIndex((bar) => bar.agent > 0 && bar.you > 0);
    while (at >= 0 && lately[at + 1]?.agent > 0) at += 1;
    const bar = lately[at] ?? lately.findLast((each) => each.agent > 0) ?? this.#current;
    bar.mark = true;
  }

  #frame(now) {
    if (!this.#running) return;
    const calm = this.#calm.matches;
    if (!calm || now - this.#drawn >= CALM_MS) {
      const levels = this.#levels();
      this.#current.agent = Math.max(this.#current.agent, levels.agent);
      this.#current.you = Math.max(this.#current.you, levels.you);
      this.#advance(now);
      this.#draw(now, calm, levels);
      this.#onLevels(levels, calm);
      this.#drawn = now;
    }
    requestAnimationFrame((next) => this.#frame(next));
  }

  #advance(now) {
    // A page in the background gets no frames: what happened meanwhile was not seen.
    if (now - this.#barBegan > 20 * BAR_MS) this.#barBegan = now - BAR_MS;
    while (now - this.#barBegan >= BAR_MS) {
      this.#bars.push(this.#current);
      this.#current = { agent: 0, you: 0, mark: false };
      this.#barBegan += BAR_MS;
    }
    const room = Math.ceil(this.#canvas.clientWidth / STEP_PX) + 2;
    this.#bars.splice(0, Math.max(0, this.#bars.length - room));
  }

  #draw(now, calm, levels) {
    const canvas = this.#canvas;
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const colours = {
      agent: style.getPropertyValue("--agent"),
      you: style.getPropertyValue("--you"),
      cut: style.getPropertyValue("--cut"),
      line: style.getPropertyValue("--line"),
    };
    if (calm) drawBars(pen, width, height, levels, colours);
    else this.#drawTape(pen, width, height, (now - this.#barBegan) / BAR_MS, colours);
  }

  #drawTape(pen, width, height, part, colours) {
    const middle = height / 2;
    const room = middle - 4;
    pen.fillStyle = colours.line;
    pen.fillRect(0, middle - 0.5, width, 1);
    for (let age = 0; age < this.#bars.length; age += 1) {
      const bar = this.#bars[this.#bars.length - 1 - age];
      const x = width - (age + part) * STEP_PX - BAR_PX;
      // What is past fades.
      pen.globalAlpha = Math.max(0, Math.min(1, (x / width) * 2.2));
      stroke(pen, x, middle - 2, -Math.max(0, bar.agent) * room, colours.agent);
      stroke(pen, x, middle + 2, Math.max(0, bar.you) * room, colours.you);
      if (bar.mark) {
        pen.fillStyle = colours.cut;
        pen.fillRect(x, 2, 1.5, height - 4);
      }
    }
    pen.globalAlpha = 1;
  }
}

function stroke(pen, x, from, length, colour) {
  pen.fillStyle = colour;
  if (Math.abs(length) < 1) return;
  pen.beginPath();
  pen.roundRect(x, Math.min(from, from + length), BAR_PX, Math.abs(length), 1.5);
  pen.fill();
}

function drawBars(pen, width, height, levels, colours) {
  const thickness = 10;
  const margin = 13;
  // Each beside its label.
  for (const [name, y] of [["agent", height * 0.25], ["you", height * 0.75]]) {
    for (const [colour, part] of [[colours.line, 1], [colours[name], levels[name]]]) {
      pen.fillStyle = colour;
      pen.beginPath();
      pen.roundRect(margin, y - thickness / 2, Math.max(thickness, (width - 2 * margin) * part), thickness, thickness / 2);
      pen.fill();
    }
  }
}
