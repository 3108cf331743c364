// Which microphone and which loudspeaker: two choices in the settings, which the browser keeps for the next call.

const KINDS = [
  { kind: "audioinput", id: "microphone-choice", keptAs: "voice-agent.microphone" },
  { kind: "audiooutput", id: "loudspeaker-choice", keptAs: "voice-agent.loudspeaker" },
];
const OWN_CHOICES = new Set(["", "default", "communications"]);

export class Devices {
  #chosen;
  #ids = new Map(KINDS.map(({ id, keptAs }) => [id, kept(keptAs)]));

  /** `chosen({microphone, loudspeaker})` is told both device ids, at first and after each choice; "" is the system's own. */
  constructor(chosen) {
    this.#chosen = chosen;
    for (const { id, keptAs } of KINDS) {
      document.getElementById(id).addEventListener("change", ({ target }) => {
        this.#ids.set(id, target.value);
        keep(keptAs, target.value);
        this.#tell();
      });
    }
    navigator.mediaDevices?.addEventListener("devicechange", () => this.refresh());
    this.#tell();
  }

  /** Looks again which devices there are: only after the microphone was allowed does the browser give their names. */
  async refresh() {
    const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    for (const { kind, id } of KINDS) {
      const devices = all.filter((device) => device.kind === kind && device.label && !OWN_CHOICES.has(device.deviceId));
      const select = document.getElementById(id);
      select.replaceChildren(new Option("The system's own choice", ""));
      for (const { deviceId, label } of devices) select.append(new Option(label, deviceId));
      // One that is unplugged now may come back: it stays chosen, and is not shown.
      const former = this.#ids.get(id);
      select.value = devices.some(({ deviceId }) => deviceId === former) ? former : "";
      const choosable = kind === "audioinput" || "setSinkId" in HTMLMediaElement.prototype;
      select.closest(".field").hidden = devices.length === 0 || !choosable;
    }
  }

  #tell() {
    this.#chosen({ microphone: this.#ids.get("microphone-choice"), loudspeaker: this.#ids.get("loudspeaker-choice") });
  }
}

function kept(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

function keep(name, id) {
  try {
    localStorage.setItem(name, id);
  } catch {
    // Then it is for this call only.
  }
}
