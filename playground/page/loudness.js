// Tells how loud two sounds are, on the browser's thread for sound, where no busy page delays the clock.
//
// In: input 0 is the agent's sound, input 1 the person's. Out: some ten times a second a list of frames of
// some 10 ms each, {at, agent, you}: seconds on the AudioContext's clock, and dB below full scale.

const QUANTA = 4; // of 128 samples: 10.7 ms at 48 kHz
const FRAMES_TOLD = 8;
const SILENCE = 1e-12; // -120 dB

class Loudness extends AudioWorkletProcessor {
  #powers = [0, 0];
  #quanta = 0;
  #frames = [];

  process(inputs) {
    for (const number of [0, 1]) this.#powers[number] += powerOf(inputs[number][0]);
    this.#quanta += 1;
    if (this.#quanta === QUANTA) {
      const [agent, you] = this.#powers.map((power) => 10 * Math.log10(power / QUANTA + SILENCE));
      // At the end of the frame, as the clock of this thread stands at the beginning of a quantum.
      this.#frames.push({ at: currentTime + 128 / sampleRate, agent, you });
      this.#powers = [0, 0];
      this.#quanta = 0;
    }
    if (this.#frames.length === FRAMES_TOLD) {
      this.port.postMessage(this.#frames);
      this.#frames = [];
    }
    return true;
  }
}

function powerOf(samples) {
  if (!samples) return 0;
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return sum / samples.length;
}

registerProcessor("loudness", Loudness);
