// Waiting well: longer each time, and no longer than needed when something speaks for trying now.

const FIRST_MS = 400;
const LONGEST_MS = 4000;
const BEAT_MS = 2000;
const ASLEEP_MS = 20000;
const LATELY_MS = 30000;

/** The pauses between tries. */
export class Patience {
  #next = FIRST_MS;
  #cut = () => {};

  reset() {
    this.#next = FIRST_MS;
  }

  /** Ends a pause that is going on. */
  cut() {
    this.#cut();
  }

  /** Waits; ends early when the network comes back or somebody looks at the page. */
  async wait() {
    // Full jitter: pages that lost the same agent do not all come back at the same moment.
    const ms = this.#next * Math.random();
    this.#next = Math.min(this.#next * 1.7, LONGEST_MS);
    const over = new AbortController();
    await new Promise((resolve) => {
      const looked = () => document.visibilityState === "visible" && resolve();
      this.#cut = resolve;
      setTimeout(resolve, ms);
      window.addEventListener("online", resolve, { signal: over.signal });
      document.addEventListener("visibilitychange", looked, { signal: over.signal });
    });
    over.abort();
  }
}

/** Notices that the machine slept: its own beat did not come. */
export class Wakefulness {
  #last = Date.now();
  #wokeAt = -Infinity;

  constructor() {
    setInterval(() => this.#beat(), BEAT_MS);
  }

  wokeUpLately() {
    this.#beat();
    return Date.now() - this.#wokeAt < LATELY_MS;
  }

  #beat() {
    const now = Date.now();
    if (now - this.#last > ASLEEP_MS) this.#wokeAt = now;
    this.#last = now;
  }
}
