// How loud the two voices are: at this moment, for what is drawn, and frame by frame, for what is measured.

import { Listener } from "/listener.js";

const QUIETEST_DB = -58;
const LOUDEST_DB = -8;
const INPUTS = ["agent", "you"]; // of loudness.js

/** Measures tracks; start() must be called while a click is handled, or the browser keeps it asleep. */
export class Levels {
  /** what a listener here measures */
  listener = new Listener();

  #audio = null;
  #loudness = null;
  #loudspeaker = "";
  #meters = new Map();

  start() {
    if (!this.#audio) {
      this.#audio = new AudioContext();
      if (this.#loudspeaker) this.setLoudspeaker(this.#loudspeaker);
      this.#listen();
    }
    this.#audio.resume();
  }

  /** Asks about the loudspeaker that the call is heard through. */
  async setLoudspeaker(id) {
    this.#loudspeaker = id;
    await this.#audio?.setSinkId?.(id).catch(() => {}); // It is for its latency only.
  }

  /** Whether it measures: after a reload, a browser may wait for a click. */
  get awake() {
    return this.#audio?.state === "running";
  }

  /** How long sound takes from the browser to the loudspeaker, as the browser says, in ms, or null. */
  get loudspeakerMs() {
    const s = this.awake ? this.#audio.outputLatency : undefined;
    return Number.isFinite(s) && s > 0 && s < 2 ? Math.round(s * 1000) : null;
  }

  /** The level of the track that is called `name` now, between 0 and 1; it may be another one each time, or null. */
  of(name, track) {
    let meter = this.#meters.get(name);
    if ((meter?.track ?? null) !== track) {
      meter?.source.disconnect();
      meter = track && this.#audio ? this.#makeMeter(name, track) : null;
      this.#meters.set(name, meter);
    }
    return meter ? measure(meter) : 0;
  }

  /** Whether the track has given anything but digital silence since it was first measured. */
  sounded(name) {
    return this.#meters.get(name)?.sounded ?? false;
  }

  #makeMeter(name, track) {
    const source = this.#audio.createMediaStreamSource(new MediaStream([track]));
    const analyser = this.#audio.createAnalyser();
    analyser.fftSize = 1024;
    source.connect(analyser);
    if (this.#loudness) source.connect(this.#loudness, 0, INPUTS.indexOf(name));
    return { track, source, analyser, samples: new Float32Array(analyser.fftSize), sounded: false };
  }

  async #listen() {
    try {
      await this.#audio.audioWorklet.addModule("/loudness.js");
    } catch {
      return; // A browser that cannot, or may not: then nothing is known here.
    }
    this.#loudness = new AudioWorkletNode(this.#audio, "loudness", { numberOfInputs: INPUTS.length, outputChannelCount: [1] });
    this.#loudness.port.onmessage = ({ data }) => data.forEach((frame) => this.listener.take(frame));
    // It is silent; but what is not played is not asked for its sound, either.
    this.#loudness.connect(this.#audio.destination);
    for (const [name, meter] of this.#meters) meter?.source.connect(this.#loudness, 0, INPUTS.indexOf(name));
  }
}

function measure(meter) {
  const { analyser, samples } = meter;
  analyser.getFloatTimeDomainData(samples);
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  // A room is never as quiet as a microphone that is switched off.
  meter.sounded ||= power > 1e-10;
  const db = 10 * Math.log10(power + 1e-12);
  // Bent, so that the loud parts of words stand out.
  return Math.min(1, Math.max(0, (db - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB))) ** 1.5;
}
