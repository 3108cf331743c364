// How loud a track is at this moment, between 0 (silence) and 1 (as loud as it gets).

const QUIETEST_DB = -58;
const LOUDEST_DB = -8;

/** Measures tracks; start() must be called while a click is handled, or the browser keeps it asleep. */
export class Levels {
  #audio = null;
  #meters = new Map();

  start() {
    this.#audio ??= new AudioContext();
    this.#audio.resume();
  }

  /** Whether it measures: after a reload, a browser may wait for a click. */
  get awake() {
    return this.#audio?.state === "running";
  }

  /** The level of the track that is called `name` now; it may be another one each time, or null. */
  of(name, track) {
    let meter = this.#meters.get(name);
    if (meter?.track !== track) {
      meter?.source.disconnect();
      meter = track && this.#audio ? this.#makeMeter(track) : null;
      this.#meters.set(name, meter);
    }
    return meter ? measure(meter) : 0;
  }

  /** Whether the track has given anything but digital silence since it was first measured. */
  sounded(name) {
    return this.#meters.get(name)?.sounded ?? false;
  }

  #makeMeter(track) {
    const source = this.#audio.createMediaStreamSource(new MediaStream([track]));
    const analyser = this.#audio.createAnalyser();
    analyser.fftSize = 1024;
    source.connect(analyser);
    return { track, source, analyser, samples: new Float32Array(analyser.fftSize), sounded: false };
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
