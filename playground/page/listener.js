// What a listener at this browser would measure of a turn: from the person's last sound to the agent's first
// audible sound, and from the person's first sound to the agent's silence.
//
// In: frames of both voices' loudness (see loudness.js) and the agent's own figures of a turn. Out: the same
// two figures as they were here, in ms, or null. It is pure: the clock is that of the frames.
//
// The agent's figures say which sounds are meant, since only the agent knows what was a turn. Theirs end at
// the agent's own loudspeaker; ours have the way there and back in them, so they cannot be shorter, nor longer by
// more than a way. Where no two sounds fit that, this browser does not know, and says so.

// Louder than this the agent is audible, and it stays so until it is softer than the second (as voicebench has it).
const AUDIBLE_DB = -45;
const STILL_AUDIBLE_DB = -51;

// The person: so much above the noise of their room, and never below the least.
const ABOVE_NOISE_DB = 12;
const STILL_ABOVE_NOISE_DB = 8;
const LEAST_DB = -52;
const NOISE_RISES_DB_S = 3;
// A microphone that gives less is off or muted, and tells nothing of the room.
const QUIETEST_DB = -90;

// What of the agent comes back through the microphone is learned while it speaks: nine of ten of its frames are
// softer, compared with the agent's loudest in the time that an echo takes.
const ECHO_WITHIN_S = 0.3;
const ABOVE_ECHO_DB = 8;
const NO_ECHO_DB = -60;
const ECHO_SHARE = 0.9;
const ECHO_LEARNS_DB = 0.06;

// A click is no sound, and a pause shorter than this no silence.
const CLICK_S = 0.03;
const AGENT_PAUSES_S = 0.2;
const YOU_PAUSE_S = 0.3;
const BREATH_S = 0.8;

const KEPT = 60;

// Our figure less the agent's. Of an answer, the two may take another sound for the last one. Of a silence, a frame of
// 20 ms each way is the least: the voice that stops sooner has just come to the end of a sentence. A way takes no longer.
const SOONEST_ANSWER_MS = -60;
const SOONEST_SILENCE_MS = 40;
const LATEST_MS = 1000;

export class Listener {
  #agent = new Sounds(AGENT_PAUSES_S);
  #you = new Sounds(YOU_PAUSE_S);
  #noise = null;
  #echo = NO_ECHO_DB;
  #agentLately = []; // of the last ECHO_WITHIN_S
  #timedUntil = -Infinity;
  #last = null;

  /** Takes the next frame. */
  take({ at, agent, you }) {
    const length = this.#last === null ? 0 : at - this.#last;
    // A browser that slept, or another AudioContext: what was before does not belong to what comes.
    if (length < 0 || length > 1) this.#forget();
    this.#last = at;
    const audible = agent > (this.#agent.goingOn ? STILL_AUDIBLE_DB : AUDIBLE_DB);
    this.#agent.take(at, audible);
    this.#you.take(at, you > this.#leastOfYou(at, agent));
    if (you > QUIETEST_DB) this.#noise = Math.min(you, (this.#noise ?? you) + NOISE_RISES_DB_S * Math.max(0, length));
    this.#learnEcho(audible, you);
  }

  /** What the clock of the frames says, in s. */
  get now() {
    return this.#last ?? 0;
  }

  /**
   * The two figures of a turn as they were here; `turn` has the agent's, and ended at `until`. To be asked once for
   * each turn, and a little later, since its last sound is still on its way when the agent tells of it.
   */
  timersOf({ turn_latency_ms: latency, barge_in_ms: bargeIn }, until) {
    const replies = this.#agent.all.filter(
      (sound) => sound !== this.#agent.open && sound.began > this.#timedUntil && sound.began <= until,
    );
    const timers = {
      latency: isNumber(latency)
        ? firstThatFits(replies, [latency + SOONEST_ANSWER_MS, latency + LATEST_MS], (reply) => this.#answer(reply))
        : null,
      bargeIn: isNumber(bargeIn)
        ? firstThatFits(replies.toReversed(), [bargeIn + SOONEST_SILENCE_MS, bargeIn + LATEST_MS], (reply) => this.#silence(reply))
        : null,
    };
    // What belongs to this turn is nothing of the next.
    this.#timedUntil = Math.max(until, this.#timedUntil);
    return timers;
  }

  /** How long it took from the person's last sound to the beginning of this sound of the agent, if it is an answer. */
  #answer(reply) {
    const before = this.#agent.all.findLast((sound) => sound.began < reply.began);
    const asked = this.#you.all.findLast((sound) => sound.began < reply.began);
    const nobodySpoke = asked && asked.ended <= reply.began && asked.ended >= (before?.ended ?? -Infinity);
    return nobodySpoke ? inMs(reply.began - asked.ended) : null;
  }

  /** How long it took from the person's first sound over this sound of the agent to its end, if there was one. */
  #silence(reply) {
    const before = this.#agent.all.findLast((sound) => sound.began < reply.began);
    // It may have drawn breath when the person began.
    const spokeSince = reply.began - (before?.ended ?? -Infinity) < BREATH_S ? before.began : reply.began;
    const over = this.#you.all.find((sound) => sound.began > spokeSince && sound.began < reply.ended && sound.ended > reply.began);
    return over ? inMs(reply.ended - over.began) : null;
  }

  #leastOfYou(at, agent) {
    this.#agentLately.push({ at, agent });
    while (this.#agentLately[0].at < at - ECHO_WITHIN_S) this.#agentLately.shift();
    const above = this.#you.goingOn ? STILL_ABOVE_NOISE_DB : ABOVE_NOISE_DB;
    return Math.max(LEAST_DB, (this.#noise ?? QUIETEST_DB) + above, this.#loudestOfAgent() + this.#echo + ABOVE_ECHO_DB);
  }

  #loudestOfAgent() {
    return Math.max(...this.#agentLately.map(({ agent }) => agent));
  }

  #learnEcho(audible, you) {
    if (!audible) return;
    const louder = you - this.#loudestOfAgent() > this.#echo;
    this.#echo += ECHO_LEARNS_DB * (louder ? ECHO_SHARE : ECHO_SHARE - 1);
    this.#echo = Math.max(NO_ECHO_DB, this.#echo);
  }

  #forget() {
    this.#agent = new Sounds(AGENT_PAUSES_S);
    this.#you = new Sounds(YOU_PAUSE_S);
    this.#agentLately = [];
    this.#timedUntil = -Infinity;
  }
}

/** When somebody made a sound: [{began, ended}] in seconds, the newest last. */
class Sounds {
  #pause;
  #sounds = [];
  #loudSince = null;
  #last = null;

  constructor(pause) {
    this.#pause = pause;
  }

  take(at, loud) {
    const before = this.#last ?? at;
    this.#last = at;
    const open = this.open;
    if (!loud) {
      this.#loudSince = null;
      return;
    }
    if (open) {
      open.ended = at;
      return;
    }
    this.#loudSince ??= before;
    if (at - this.#loudSince < CLICK_S) return;
    this.#sounds.push({ began: this.#loudSince, ended: at });
    if (this.#sounds.length > KEPT) this.#sounds.shift();
  }

  /** The one that goes on: a pause may still end it. */
  get open() {
    const newest = this.#sounds.at(-1);
    return newest && this.#last - newest.ended < this.#pause ? newest : null;
  }

  get goingOn() {
    return this.open !== null;
  }

  get all() {
    return this.#sounds;
  }
}

function firstThatFits(replies, [soonest, latest], measure) {
  return replies.map(measure).find((ms) => ms !== null && ms >= soonest && ms <= latest) ?? null;
}

function inMs(s) {
  return Math.round(s * 1000);
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
