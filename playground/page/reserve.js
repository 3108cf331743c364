// What this browser keeps of the agent's voice in reserve against an uneven network (its jitter buffer): the
// voice is heard so much later, and what comes too late all the same is made up.
//
// In: the RTCRtpReceiver of the agent's sound, or null. Out: {ms, madeUp} since the last reading: the mean reserve, and
// the share of the sound that was made up, 0 to 1. null where the browser does not tell.

export class Reserve {
  #former = null;

  async read(receiver) {
    const stats = [...((await receiver?.getStats().catch(() => null))?.values() ?? [])];
    const now = stats.find((each) => each.type === "inbound-rtp");
    const former = this.#former?.id === now?.id ? this.#former : null;
    this.#former = now ?? null;
    const samples = now?.jitterBufferEmittedCount - (former?.jitterBufferEmittedCount ?? 0);
    if (!(samples > 0)) return null;
    const since = (name) => (now[name] ?? 0) - (former?.[name] ?? 0);
    const made = since("concealedSamples") - since("silentConcealedSamples");
    return { ms: Math.round((since("jitterBufferDelay") / samples) * 1000), madeUp: Math.max(0, made) / samples };
  }
}
