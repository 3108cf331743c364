// Puts the page together: who is told what, and what is shown when. Each part has a file of its own.

import { Announcer } from "/announcer.js";
import { Call } from "/call.js";
import { Chart } from "/chart.js";
import { Conversation } from "/conversation.js";
import { Levels } from "/levels.js";
import { Microphone, PROBLEMS } from "/microphone.js";
import { Operator } from "/operator.js";
import { Settings } from "/settings.js";
import { describe } from "/status.js";
import { goOnHere, startOver } from "/start_over.js";
import { Tape } from "/tape.js";

const INTERRUPTED_FOR_MS = 2500;
const SILENT_FOR_MS = 6000;
const NEWSWORTHY = new Set(["waiting", "ended", "interrupted"]);

const $ = (id) => document.getElementById(id);

const announcer = new Announcer();
const call = new Call();
const microphone = new Microphone();
const levels = new Levels();
const conversation = new Conversation((text) => announcer.caption(text));
const chart = new Chart();
const settings = new Settings((changes) => call.configure(changes));
const operator = new Operator((command) => call.operate(command));
const tape = new Tape($("tape"), bothLevels, showLevels);

let wantsToTalk = false;
let muted = false;
let interruptedUntil = 0;
let formerAgentState = "";
let agentWasHere = false;
let waitingSince = 0;
let silentSince = 0;

// ---- what the person does

$("talk").addEventListener("click", () => {
  if (call.phase === "resting" || call.phase === "removed") start();
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
  $("talk").focus();
});

$("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("typed").value.trim();
  if (!text) return;
  $("typed").value = "";
  const notSent = conversation.showTyped(text);
  if (!call.agent) {
    notSent("Not sent: the agent is not there.");
    return;
  }
  try {
    await call.type(text);
  } catch {
    notSent("Not sent: the connection is broken.");
  }
});

function start() {
  levels.start();
  waitingSince = Date.now();
  agentWasHere = false;
  document.body.dataset.began = true;
  $("conversation").hidden = false;
  $("tape-figure").hidden = false;
  $("open-settings").hidden = false;
  call.join();
}

async function talk() {
  wantsToTalk = true;
  muted = false;
  call.setMuted(false);
  await microphone.open();
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
  if (!agent && waitingSince === 0) waitingSince = Date.now();
  if (agent) waitingSince = 0;
  // It speaks anew: the interruption is history.
  if (agentState !== formerAgentState && agentState === "speaking") interruptedUntil = 0;
  formerAgentState = agentState;
  if (!agent) tellSession(null);
  render();
});

call.addEventListener("stale", () => startOver({ talks: wantsToTalk, muted }));
call.addEventListener("words", ({ detail }) => conversation.show(detail));
call.addEventListener("session", ({ detail }) => tellSession(detail));
call.addEventListener("turn", ({ detail }) => {
  conversation.settle(detail);
  chart.add(detail);
  if (!detail.interrupted) return;
  tape.mark();
  interruptedUntil = Date.now() + INTERRUPTED_FOR_MS;
  render();
});

// Some of what is shown depends on time alone.
setInterval(render, 500);

// ---- what is shown

function render() {
  const status = describe({
    phase: call.phase,
    obstacle: call.obstacle,
    agentHere: call.agent !== null,
    agentWasHere,
    agentState: call.agentState,
    tools: call.tools,
    someoneElseIsHeard: call.someoneElseIsHeard,
    interrupted: Date.now() < interruptedUntil,
    microphone: microphone.track === null ? "none" : muted ? "muted" : "open",
    waitedS: waitingSince ? (Date.now() - waitingSince) / 1000 : 0,
  });
  showStatus(status);
  const away = call.phase === "resting" || call.phase === "removed";
  document.body.dataset.call = call.phase;
  setText($("talk"), microphone.problem ? "Try the microphone again" : "Talk");
  const talkHadFocus = document.activeElement === $("talk");
  $("talk").hidden = !away && microphone.track !== null;
  $("type-only").hidden = !away;
  $("leave").hidden = away;
  $("mute").hidden = away || microphone.track === null;
  $("mute").setAttribute("aria-pressed", String(muted));
  setText($("mute"), muted ? "Unmute" : "Mute");
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

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

render();

const before = goOnHere();
if (before) {
  start();
  if (before.talks) talk().then(() => before.muted && setMuted(true));
}
