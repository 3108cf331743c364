// Puts the page together: who is told what, and what is shown when. Each part has a file of its own.

import { Announcer } from "/announcer.js";
import { Call } from "/call.js";
import { Chart } from "/chart.js";
import { Conversation } from "/conversation.js";
import { Devices } from "/devices.js";
import { inWords } from "/duration.js";
import { Levels } from "/levels.js";
import { Microphone, PROBLEMS } from "/microphone.js";
import { Operator } from "/operator.js";
import { Reserve } from "/reserve.js";
import { Settings } from "/settings.js";
import { describe } from "/status.js";
import { goOnHere, startOver } from "/start_over.js";
import { Tape } from "/tape.js";

const $ = (id) => document.getElementById(id);

const INTERRUPTED_FOR_MS = 2500;
const SILENT_FOR_MS = 6000;
// The last sound of a turn is still on its way when the agent tells of the turn.
const HEARD_AFTER_MS = 800;
const NOTHING_SAID = $("live").textContent;
const NEWSWORTHY = new Set(["waiting", "ended", "interrupted"]);

const announcer = new Announcer();
const call = new Call();
const microphone = new Microphone();
const levels = new Levels();
const conversation = new Conversation((text) => announcer.caption(text), sayTyped);
const chart = new Chart();
const settings = new Settings((changes) => call.configure(changes));
const operator = new Operator((command) => call.operate(command));
const reserve = new Reserve();
const tape = new Tape($("tape"), bothLevels, showLevels);

let wantsToTalk = false;
let muted = false;
let interruptedUntil = 0;
let formerAgentState = "";
let agentWasHere = false;
let waitingSince = 0;
let silentSince = 0;
let left = false; // or will have, when the call is over: it is not the first screen any more
let unsent = []; // typed before the agent was there: {text, note}

// ---- what the person does

$("talk").addEventListener("click", () => {
  wantsToTalk = true;
  if (isAway()) start();
  talk();
});

$("type-only").addEventListener("click", () => {
  start();
  $("typed").focus();
});

$("mute").addEventListener("click", () => setMuted(!muted));

$("leave").addEventListener("click", () => {
  wantsToTalk = false;
  call.setMicrophone(null);
  microphone.close();
  call.leave();
  for (const { note } of unsent) note("Not sent: you left.", { failed: true });
  unsent = [];
  $("talk").focus();
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("typed").value.trim();
  if (!text) return;
  $("typed").value = "";
  sayTyped(text);
});

for (const offer of document.querySelectorAll("[data-suggestions] .offer")) {
  offer.addEventListener("click", () => sayTyped(offer.textContent));
}

const devices = new Devices(({ microphone: id, loudspeaker }) => {
  microphone.choose(id);
  call.setLoudspeaker(loudspeaker);
  levels.setLoudspeaker(loudspeaker);
});

/** Sends typed words; whoever is not in the call joins it by typing. */
async function sayTyped(text) {
  const hadFocus = document.activeElement?.matches(".offer");
  if (isAway()) start();
  if (hadFocus) $("typed").focus();
  const note = conversation.showTyped(text);
  if (!agentWasHere) {
    note("Sent as soon as the agent is here.");
    unsent.push({ text, note });
    return;
  }
  await send(text, note);
}

async function send(text, note) {
  if (!call.agent) {
    note("Not sent: the agent is not there.", { failed: true });
    return;
  }
  try {
    await call.type(text);
    note("");
  } catch {
    note("Not sent: the connection is broken.", { failed: true });
  }
}

function isAway() {
  return call.phase === "resting" || call.phase === "removed";
}

function start() {
  levels.start();
  agentWasHere = false;
  left = true;
  document.body.dataset.began = true;
  // All that the call may show has its place from the beginning, so that nothing is pushed away later.
  for (const id of ["conversation", "composer", "tape-figure", "live", "timers", "open-settings"]) $(id).hidden = false;
  $("first-words").hidden = true;
  call.join();
}

async function talk() {
  wantsToTalk = true;
  muted = false;
  call.setMuted(false);
  await microphone.open();
  devices.refresh();
  if (microphone.problem) $("typed").focus();
}

function setMuted(wanted) {
  muted = wanted;
  call.setMuted(muted);
  render();
}

// ---- what happens

microphone.addEventListener("change", () => {
  silentSince = 0;
  call.setMicrophone(microphone.track);
  render();
});

call.addEventListener("change", () => {
  const { agent, agentState } = call;
  if (agent) agentWasHere = true;
  // Its greeting comes first.
  if (call.phase === "joined" && ["listening", "idle"].includes(agentState)) {
    for (const { text, note } of unsent) send(text, note);
    unsent = [];
  }
  // Only where we are ourselves somebody can be missing: joining may take long.
  if (agent || call.phase !== "joined") waitingSince = 0;
  else waitingSince ||= Date.now();
  // It speaks anew: the interruption is history.
  if (agentState !== formerAgentState && agentState === "speaking") interruptedUntil = 0;
  formerAgentState = agentState;
  if (!agent) tellSession(null);
  render();
});

call.addEventListener("stale", () => startOver({ talks: wantsToTalk, muted }));
call.addEventListener("words", ({ detail }) => {
  conversation.show(detail);
  showLive(detail);
});
call.addEventListener("unanswered", ({ detail }) => conversation.leaveUnanswered(detail));
call.addEventListener("session", ({ detail }) => tellSession(detail));
call.addEventListener("turn", ({ detail }) => {
  conversation.settle(detail);
  const { outcome, heard_text: heard } = detail;
  if (outcome === "cut" && heard && $("live").textContent.startsWith(heard)) showLive({ speaker: "agent", text: `${heard} —`, final: true });
  const until = levels.listener.now;
  setTimeout(() => showTimers(detail, until), HEARD_AFTER_MS);
  if (!detail.interrupted) return;
  tape.mark();
  interruptedUntil = Date.now() + INTERRUPTED_FOR_MS;
  render();
});

async function showTimers(turn, until) {
  const here = levels.listener.timersOf(turn, until);
  chart.add(turn, here);
  conversation.settle(turn, here.latency);
  const kept = await reserve.read(call.agentReceiver);
  const loudspeaker = levels.loudspeakerMs;
  const parts = [];
  if (kept) parts.push(`Your browser keeps ${inWords(kept.ms)} of the voice in reserve against an uneven network: part of both figures.`);
  if (loudspeaker) parts.push(`Your loudspeaker is ${inWords(loudspeaker)} behind: not part of them.`);
  $("way").hidden = parts.length === 0;
  setText($("way"), parts.join(" "));
}

// Some of what is shown depends on time alone.
setInterval(render, 500);

// ---- what is shown

function render() {
  const away = isAway();
  const asked = wantsToTalk && microphone.track === null && !microphone.problem;
  const status = describe({
    phase: call.phase,
    left,
    obstacle: call.obstacle,
    agentHere: call.agent !== null,
    agentWasHere,
    agentState: call.agentState,
    tools: call.tools,
    someoneElseIsHeard: call.someoneElseIsHeard,
    interrupted: Date.now() < interruptedUntil,
    microphone: asked ? "asked" : microphone.track === null ? "none" : muted ? "muted" : "open",
    waitedS: waitingSince ? (Date.now() - waitingSince) / 1000 : 0,
  });
  showStatus(status);
  document.body.dataset.call = call.phase;
  document.body.toggleAttribute("data-muted", muted && !away && microphone.track !== null);
  label("talk", microphone.problem ? "Try the microphone again" : "Talk");
  const talkHadFocus = document.activeElement === $("talk");
  $("talk").hidden = !away && (asked || microphone.track !== null);
  // Later, the line to type in is there already.
  $("type-only").hidden = left;
  $("leave").hidden = away;
  $("mute").hidden = away || (!asked && microphone.track === null);
  $("mute").setAttribute("aria-pressed", String(muted));
  label("mute", muted ? "Unmute" : "Mute");
  $("mute").title = muted ? "Unmute" : "Mute";
  $("mute").querySelector("use").setAttribute("href", muted ? "#i-muted" : "#i-microphone");
  $("typed").placeholder = away ? "Type to join again…" : "Type instead…";
  if (away) showLive(null);
  // Where the keyboard is must not get lost with the button that it was on.
  if (talkHadFocus && $("talk").hidden) $("mute").focus();
  if (away) tape.stop();
  else tape.start();
  showNotice(notice());
}

function tellSession(session) {
  settings.show(session);
  operator.show(session);
}

function showStatus({ name, title, detail }) {
  const news = $("state").textContent !== title && NEWSWORTHY.has(name);
  document.body.dataset.state = name;
  setText($("state"), title);
  setText($("state-detail"), detail);
  if (news) announcer.news(`${title}. ${detail}`);
}

/** What is in the way of the conversation, or null: {title, fix, label?, act?}. */
function notice() {
  if (call.phase === "resting") return null;
  if (wantsToTalk && microphone.problem) return PROBLEMS[microphone.problem];
  if (!call.audible) {
    return {
      title: "Your browser is muting the agent.",
      fix: "It plays sound only after you click.",
      label: "Turn on the sound",
      act: () => {
        levels.start();
        call.unlockAudio();
      },
    };
  }
  if (microphone.track && !muted && silentSince && Date.now() - silentSince > SILENT_FOR_MS) {
    return {
      title: "Your microphone sends only silence.",
      fix: "Is it switched off, on the device or in the system's sound settings?",
    };
  }
  return null;
}

function showNotice(shown) {
  $("notice").hidden = shown === null;
  // A text that is set again is read out again.
  setText($("notice-title"), shown?.title ?? "");
  setText($("notice-fix"), shown?.fix ?? "");
  $("notice-action").hidden = !shown?.act;
  setText($("notice-action"), shown?.label ?? "");
  $("notice-action").onclick = shown?.act ?? null;
}

function bothLevels() {
  const you = muted ? 0 : levels.of("you", microphone.track);
  if (!microphone.track || muted || !levels.awake || levels.sounded("you")) silentSince = 0;
  else silentSince ||= Date.now();
  return { agent: call.someoneElseIsHeard ? 0 : levels.of("agent", call.agentTrack), you };
}

function showLevels({ agent, you }, calm) {
  const voice = document.body.dataset.state === "speaking" ? agent : you;
  $("orb").style.setProperty("--level", calm ? "0" : voice.toFixed(2));
}

/** Shows the words that are said now, of either side; they stand in the conversation, too. */
function showLive(words) {
  const shown = ["agent", "you"].includes(words?.speaker) ? words : { text: NOTHING_SAID, speaker: "", final: true };
  setText($("live").firstElementChild, shown.text);
  $("live").dataset.speaker = shown.speaker;
  $("live").dataset.final = shown.final;
}

function label(id, text) {
  setText($(id).querySelector("span"), text);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

render();

const before = goOnHere();
if (before) {
  start();
  if (before.talks) talk().then(() => before.muted && setMuted(true));
}
