// The microphone: opened, lost, found again, with plain words for everything that can be in its way.
//
// Events: change (the track or the problem is another). While there is a problem, it tries again by
// itself when a device is plugged in or the permission is given.

// The agent must not hear itself from the loudspeakers; but noise is left to its own ears, which know
// more about speech than a filter that was made for other people.
const CONSTRAINTS = {
  echoCancellation: true,
  noiseSuppression: false,
  voiceIsolation: false,
  autoGainControl: true,
  channelCount: { ideal: 1 },
};

const CAN_TYPE = "You can type in the meantime.";

export const PROBLEMS = {
  refused: {
    title: "The microphone is blocked.",
    fix: `Allow it for this page, in the settings next to the address bar. ${CAN_TYPE}`,
  },
  system: {
    title: "The system does not let your browser use the microphone.",
    fix: `Allow it in the system's privacy settings. ${CAN_TYPE}`,
  },
  dismissed: {
    title: "The microphone was not allowed.",
    fix: `The agent hears nothing until you allow it. ${CAN_TYPE}`,
  },
  absent: {
    title: "No microphone was found.",
    fix: `Plug one in, or check the system's sound settings. ${CAN_TYPE}`,
  },
  busy: {
    title: "The microphone does not answer.",
    fix: `Another program may be using it; close that program. ${CAN_TYPE}`,
  },
  unplugged: {
    title: "The microphone is gone.",
    fix: `It was unplugged or switched off: plug it in again. ${CAN_TYPE}`,
  },
  insecure: {
    title: "Browsers only allow the microphone on secure pages.",
    fix: `Open this page at http://127.0.0.1 on the agent's machine. ${CAN_TYPE}`,
  },
  strange: {
    title: "The microphone cannot be used.",
    fix: `Your browser does not say why. ${CAN_TYPE}`,
  },
};

export class Microphone extends EventTarget {
  /** the MediaStreamTrack, or null */
  track = null;
  /** a key of PROBLEMS, or "" */
  problem = "";

  #opening = null;
  #wanted = false;
  #device = "";

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#tryAgain());
    navigator.permissions
      ?.query({ name: "microphone" })
      .then((permission) => permission.addEventListener("change", () => this.#tryAgain()))
      .catch(() => {}); // Not every browser can be asked about it.
  }

  /** Opens it; afterwards there is either a track or a problem. */
  async open() {
    this.#wanted = true;
    this.#opening ??= this.#open().finally(() => (this.#opening = null));
    await this.#opening;
  }

  /** Uses another one from now on, by its device id ("" is the system's own choice). */
  async choose(id) {
    if (id === this.#device) return;
    this.#device = id;
    if (!this.track) {
      this.#tryAgain();
      return;
    }
    await this.#opening;
    const former = this.track;
    await this.#open({ anew: true });
    former?.stop();
  }

  close() {
    this.#wanted = false;
    this.track?.stop();
    this.#become(null, "");
  }

  async #open({ anew = false } = {}) {
    if (this.track?.readyState === "live" && !anew) return;
    if (!navigator.mediaDevices?.getUserMedia) {
      this.#become(null, "insecure");
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: { ...CONSTRAINTS, ...(this.#device && { deviceId: { ideal: this.#device } }) },
      });
      const [track] = stream.getAudioTracks();
      if (!this.#wanted) {
        track.stop();
        return;
      }
      track.addEventListener("ended", () => this.#onEnded(track));
      this.#become(track, "");
    } catch (error) {
      const kind = await kindOf(error);
      this.#become(null, kind === "absent" && this.problem === "unplugged" ? "unplugged" : kind);
    }
  }

  #onEnded(track) {
    if (this.track !== track) return;
    this.#become(null, "unplugged");
    // After a sleep the same one can be opened again; and there may be another.
    this.open();
  }

  #tryAgain() {
    if (this.#wanted && !this.track) this.open();
  }

  #become(track, problem) {
    this.track = track;
    this.problem = problem;
    this.dispatchEvent(new Event("change"));
  }
}

async function kindOf(error) {
  switch (error.name) {
    case "NotAllowedError": {
      if (/system/i.test(error.message)) return "system";
      const permission = await navigator.permissions?.query({ name: "microphone" }).catch(() => null);
      return permission?.state === "prompt" ? "dismissed" : "refused";
    }
    case "SecurityError":
      return "refused";
    case "NotFoundError":
    case "OverconstrainedError":
      return "absent";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "strange";
  }
}
