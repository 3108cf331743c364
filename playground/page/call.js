// The call: this browser's place in the LiveKit room, kept for as long as the person wants it.
//
// In: join(), leave(), the microphone's track, typed words, changed settings. Out: events.
//   change   something about the call or the agent is different: read the properties
//   words    {key, speaker, text, final}: a caption is new or different
//   turn     a turn record of the agent (its topic is named below)
//   session  the agent told its settings
//   unanswered  {text, why}: what somebody typed gets no answer
//   stale    this page may not connect to where the room is now: it has to be loaded anew
//
// All it uses of the agent are LiveKit's conventions, and for what LiveKit has no name for, text streams,
// two attributes and two RPC methods of our own.

import { DefaultReconnectPolicy, DisconnectReason, ParticipantKind, Room, RoomEvent, Track } from "/livekit-client.esm.mjs";
import { Patience, Wakefulness } from "/patience.js";
import { askForTicket, NoTicket, runnerAnswers } from "/ticket.js";

const AGENT_STATE = "lk.agent.state";
const ON_BEHALF = "lk.publish_on_behalf";
const TRANSCRIPTION = "lk.transcription";
const CHAT = "lk.chat";
const LISTENING_TO = "voice-agent.listening_to";
const EVERYBODY = "*";
const TOOLS = "voice-agent.tools";
const TURNS = "voice-agent.turns";
const SESSION = "voice-agent.session";
const UNANSWERED = "voice-agent.unanswered";
const CONFIGURE = "voice-agent.configure";
const OPERATE = "voice-agent.operate";
const MICROPHONE = "voice-agent.microphone";

// LiveKit's client tries so often, then we join anew with a fresh token: together quicker than it alone.
const RECONNECT_AFTER_MS = [0, 300, 700, 1500, 3000, 5000];
const RUNNER_ASKED_AFTER_MS = 1500;

// Joining again would throw out whoever took our place, or defy whoever removed us.
const FINAL = new Set([DisconnectReason.DUPLICATE_IDENTITY, DisconnectReason.PARTICIPANT_REMOVED]);

export class Call extends EventTarget {
  /** resting, joining, joined, reconnecting, waiting (to join again) or removed */
  phase = "resting";
  /** while waiting: {what: "runner" | "livekit" | "stale" | "told", told?: {what, fix}} */
  obstacle = null;
  /** our identity in the room */
  me = "";
  /** the agent's participant, or null */
  agent = null;
  /** whether the browser lets us be heard through the loudspeakers */
  audible = true;

  #wanted = false;
  #room = null;
  #patience = new Patience();
  #wakefulness = new Wakefulness();
  #microphone = null;
  #muted = false;
  #loudspeaker = "";
  #identities = new Set();
  #openStreams = new Map(); // by caption: the newest one, as {number, end}
  #streams = 0;
  #stale = false;

  constructor() {
    super();
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
      if (!this.#wanted || effectiveDirective !== "connect-src") return;
      this.#stale = true;
      this.#tell("stale", null);
    });
  }

  /** Joins, and joins again whenever the room is gone, until leave(). */
  async join() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#patience.reset();
    while (this.#wanted) {
      this.#become("joining");
      const room = this.#makeRoom();
      const gone = new Promise((resolve) => room.once(RoomEvent.Disconnected, resolve));
      try {
        const ticket = await askForTicket();
        this.me = ticket.identity;
        this.#identities.add(ticket.identity);
        await room.connect(ticket.url, ticket.token);
      } catch (error) {
        this.#forget(room);
        await room.disconnect();
        if (this.#wanted) await this.#wait(this.#obstacleIn(error));
        continue;
      }
      if (!this.#wanted) {
        await room.disconnect();
        break;
      }
      this.#patience.reset();
      this.#become("joined");
      this.#findAgent();
      await this.#publish();
      const reason = await gone;
      this.#forget(room);
      if (FINAL.has(reason)) {
        this.#wanted = false;
        this.#become("removed");
        return;
      }
      // A page that is being closed gets no further than this.
      if (this.#wanted) await this.#wait({ what: "livekit" });
    }
    this.#become("resting");
  }

  /** Leaves the room and stays away. */
  async leave() {
    this.#wanted = false;
    this.#patience.cut();
    await this.#room?.disconnect();
  }

  /** Gives the room the sound of a MediaStreamTrack, now and after each rejoin; null takes it away. */
  async setMicrophone(track) {
    const former = this.#microphone;
    this.#microphone = track;
    if (this.phase !== "joined") return;
    if (former) await this.#room.localParticipant.unpublishTrack(former, false);
    await this.#publish();
  }

  async setMuted(muted) {
    this.#muted = muted;
    const publication = this.#room?.localParticipant.getTrackPublication(Track.Source.Microphone);
    if (muted) await publication?.mute();
    else await publication?.unmute();
  }

  /** Has the agent heard through this loudspeaker, a device id ("" is the system's own choice), now and later. */
  async setLoudspeaker(id) {
    this.#loudspeaker = id;
    await this.#room?.switchActiveDevice("audiooutput", id || "default").catch(() => {}); // It was just unplugged.
  }

  /** Sends typed words to the agent; throws if they cannot be sent. */
  async type(text) {
    if (this.phase !== "joined") throw new Error("not in the room");
    await this.#room.localParticipant.sendText(text, { topic: CHAT });
  }

  /** Asks the agent to change settings; gives {accepted, why}. Throws LiveKit's RpcError. */
  async configure(changes) {
    return this.#ask(CONFIGURE, changes);
  }

  /** Gives the agent a command as its owner; gives {done, why}. Throws LiveKit's RpcError. */
  async operate(command) {
    return this.#ask(OPERATE, command);
  }

  async #ask(method, content) {
    if (this.phase !== "joined" || !this.agent) throw new Error("no agent in the room");
    const answer = await this.#room.localParticipant.performRpc({
      destinationIdentity: this.agent.identity,
      method,
      payload: JSON.stringify(content),
    });
    return JSON.parse(answer);
  }

  /** Has the browser play what it blocked; must be called while a click is handled. */
  async unlockAudio() {
    await this.#room?.startAudio();
  }

  /** initializing, idle, listening, thinking or speaking; "" while there is no agent or it has not said */
  get agentState() {
    return this.agent?.attributes[AGENT_STATE] ?? "";
  }

  /** the names of the tools that run */
  get tools() {
    return (this.agent?.attributes[TOOLS] ?? "").split(",").filter(Boolean);
  }

  /** Whether the agent listens to somebody, and it is not us. */
  get someoneElseIsHeard() {
    const identity = this.agent?.attributes[LISTENING_TO] ?? "";
    return !["", EVERYBODY, this.me].includes(identity);
  }

  /** The agent's sound as a MediaStreamTrack, or null. */
  get agentTrack() {
    return this.#agentAudio()?.mediaStreamTrack ?? null;
  }

  /** What receives the agent's sound, an RTCRtpReceiver, or null. */
  get agentReceiver() {
    return this.#agentAudio()?.receiver ?? null;
  }

  // ---- the room

  #makeRoom() {
    const room = new Room({
      ...(this.#loudspeaker && { audioOutput: { deviceId: this.#loudspeaker } }),
      reconnectPolicy: new DefaultReconnectPolicy(RECONNECT_AFTER_MS),
      // The microphone is ours: it survives the room.
      stopLocalTrackOnUnpublish: false,
    });
    this.#room = room;
    const changed = () => {
      if (this.#room === room) this.#findAgent();
    };
    for (const event of [
      RoomEvent.ParticipantConnected,
      RoomEvent.ParticipantDisconnected,
      RoomEvent.ParticipantAttributesChanged,
      RoomEvent.TrackUnsubscribed,
    ]) room.on(event, changed);
    room.on(RoomEvent.TrackSubscribed, (track, _, participant) => {
      // The agent's voice only: another person in the room may be another tab with the same microphone.
      if (track.kind === Track.Kind.Audio && isMachine(participant)) document.body.append(track.attach());
      changed();
    });
    room.on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()));
    room.on(RoomEvent.Reconnecting, () => this.#onReconnecting(room));
    room.on(RoomEvent.SignalReconnecting, () => this.#onReconnecting(room));
    room.on(RoomEvent.Reconnected, () => {
      this.#become("joined");
      changed();
    });
    room.on(RoomEvent.AudioPlaybackStatusChanged, () => {
      this.audible = room.canPlaybackAudio;
      this.#change();
    });
    room.registerTextStreamHandler(TRANSCRIPTION, (reader, from) => this.#readCaption(reader, from.identity));
    room.registerTextStreamHandler(CHAT, (reader, from) => this.#readChat(reader, from.identity));
    room.registerTextStreamHandler(TURNS, (reader, from) => this.#readRecord("turn", reader, from.identity));
    room.registerTextStreamHandler(UNANSWERED, (reader, from) => this.#readRecord("unanswered", reader, from.identity));
    room.registerTextStreamHandler(SESSION, (reader, from) => this.#readRecord("session", reader, from.identity));
    return room;
  }

  #forget(room) {
    for (const participant of room.remoteParticipants.values()) {
      for (const publication of participant.trackPublications.values()) {
        publication.track?.detach().forEach((element) => element.remove());
      }
    }
    // Whoever wrote them may be back before us, and knows them as they end.
    for (const stream of this.#openStreams.values()) stream.end();
    if (this.#room === room) this.#room = null;
    this.agent = null;
  }

  async #onReconnecting(room) {
    if (this.#room !== room || this.phase === "reconnecting") return;
    this.#become("reconnecting");
    // After a sleep its token is old and its server may be another; and a runner that ended comes back,
    // if at all, with new keys. In both cases there is no point in trying the old room.
    if (this.#wakefulness.wokeUpLately()) {
      await room.disconnect();
      return;
    }
    while (this.#room === room && this.phase === "reconnecting") {
      await new Promise((resolve) => setTimeout(resolve, RUNNER_ASKED_AFTER_MS));
      if (this.#room === room && this.phase === "reconnecting" && !(await runnerAnswers())) {
        await room.disconnect();
      }
    }
  }

  async #wait(obstacle) {
    this.obstacle = obstacle;
    this.#become("waiting");
    await this.#patience.wait();
  }

  #obstacleIn(error) {
    if (error instanceof NoTicket) return error.obstacle;
    return { what: this.#stale ? "stale" : "livekit" };
  }

  async #publish() {
    if (!this.#microphone || this.#microphone.readyState === "ended") return;
    try {
      await this.#room.localParticipant.publishTrack(this.#microphone, {
        source: Track.Source.Microphone,
        name: "microphone",
      });
      if (this.#muted) await this.setMuted(true);
      // Whoever looks after the agent can see whether this client cancels its echo.
      const { echoCancellation, noiseSuppression, autoGainControl } = this.#microphone.getSettings();
      await this.#room.localParticipant.setAttributes({
        [MICROPHONE]: JSON.stringify({ echoCancellation, noiseSuppression, autoGainControl }),
      });
    } catch {
      // The room went away in between: the next one gets it.
    }
  }

  #findAgent() {
    const others = [...(this.#room?.remoteParticipants.values() ?? [])];
    const agent = others.find(isAgent) ?? null;
    this.agent = agent;
    // While it talks with someone else, one tab on this machine is enough to hear it.
    const elements = this.#agentAudio()?.attachedElements ?? [];
    for (const element of elements) element.muted = this.someoneElseIsHeard;
    this.#change();
  }

  #agentAudio() {
    // A second participant (an avatar) may be its voice.
    const deputies = [...(this.#room?.remoteParticipants.values() ?? [])].filter(
      (participant) => this.agent && participant.attributes[ON_BEHALF] === this.agent.identity,
    );
    const publications = [...deputies, this.agent].flatMap((each) => [...(each?.audioTrackPublications.values() ?? [])]);
    return publications.find((publication) => publication.track)?.track ?? null;
  }

  // ---- what is said

  async #readCaption(reader, identity) {
    const segment = reader.info.attributes?.["lk.segment_id"] ?? reader.info.id;
    const speaker = this.#speaker(identity, reader.info.attributes?.["lk.transcribed_track_id"]);
    const key = `${identity}/${segment}`;
    // A stream with the same segment replaces the former, which may not have been read to its end.
    const number = (this.#streams += 1);
    const isFinal = () => reader.info.attributes?.["lk.transcription_final"] === "true";
    let text = "";
    const tell = (final) => {
      if (this.#openStreams.get(key)?.number !== number || text.trim() === "") return;
      this.#tell("words", { key, segment, speaker, text: text.trim(), final });
    };
    const end = () => {
      tell(true);
      if (this.#openStreams.get(key)?.number === number) this.#openStreams.delete(key);
    };
    this.#openStreams.set(key, { number, end });
    try {
      for await (const piece of reader) {
        text += piece;
        tell(isFinal());
      }
    } catch {
      // Whoever wrote it left in the middle: these are its last words.
      end();
    }
    tell(isFinal());
    if (isFinal()) end();
  }

  async #readChat(reader, identity) {
    const text = await reader.readAll().catch(() => "");
    if (text && !this.#identities.has(identity)) {
      this.#tell("words", { key: reader.info.id, segment: reader.info.id, speaker: this.#speaker(identity), text, final: true });
    }
  }

  async #readRecord(name, reader, identity) {
    try {
      const record = JSON.parse(await reader.readAll());
      if (identity === this.agent?.identity && record !== null && typeof record === "object") this.#tell(name, record);
    } catch (error) {
      console.warn(`a record on ${name} could not be read`, error);
    }
  }

  /** "you", "agent", or the identity of somebody else */
  #speaker(identity, trackSid = "") {
    const ours = [...(this.#room?.localParticipant.trackPublications.values() ?? [])];
    if (this.#identities.has(identity) || ours.some((publication) => publication.trackSid === trackSid)) return "you";
    const participant = this.#room?.remoteParticipants.get(identity);
    return participant && isAgent(participant) ? "agent" : identity;
  }

  #become(phase) {
    this.phase = phase;
    if (phase !== "waiting") this.obstacle = null;
    this.#change();
  }

  #change() {
    this.#tell("change", null);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function isMachine(participant) {
  return participant.isAgent || participant.kind === ParticipantKind.AGENT || AGENT_STATE in participant.attributes;
}

function isAgent(participant) {
  return isMachine(participant) && !participant.attributes[ON_BEHALF];
}
