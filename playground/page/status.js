// What the page says about the call, in words: a function of what is known, and nothing else.

const SOON_S = 4;

/**
 * Gives {name, title, detail}. `name` is what the style sheets go by: resting, connecting, listening,
 * thinking, speaking, interrupted, waiting or ended.
 *
 * known: {phase, left, obstacle, agentHere, agentWasHere, agentState, tools, someoneElseIsHeard, interrupted,
 * microphone, waitedS}; `left` whether there was a call before, `tools` are the names of those that run, `microphone` is "open", "muted",
 * "asked" (the browser asks whether it is allowed) or "none", `waitedS` how long the agent has been waited for.
 */
export function describe(known) {
  switch (known.phase) {
    case "resting":
      if (known.left) return say("resting", "You left the call", "Your microphone is off. Talk again whenever you like.");
      return say("resting", "Say hello", "Your browser will ask for the microphone. It stays on until you leave.");
    case "joining":
      return say("connecting", "Connecting…", "");
    case "reconnecting":
      return say("connecting", "Reconnecting…", "The connection broke. What you say now is not heard.");
    case "waiting":
      return describeWaiting(known.obstacle);
    case "removed":
      return say("ended", "The call is over", "You were removed from the room, or joined it from somewhere else.");
    default:
      return known.agentHere ? describeAgent(known) : describeAbsence(known);
  }
}

function describeWaiting(obstacle) {
  switch (obstacle?.what) {
    case "runner":
      return say("ended", "The agent has ended", "Start it again. This page reconnects by itself; if it does not, open the address that is printed.");
    case "stale":
      return say("ended", "The agent was restarted", "Reload this page to talk with it.");
    case "told":
      return say("ended", sentence(obstacle.told.what ?? "the agent's program does not let this page in"), sentence(obstacle.told.fix ?? ""));
    default:
      return say("connecting", "Reconnecting…", "The room's server (LiveKit) does not answer. This page keeps trying.");
  }
}

function describeAbsence({ agentWasHere, waitedS }) {
  if (agentWasHere) return say("waiting", "The agent left", "You will hear it as soon as it comes back.");
  if (waitedS < SOON_S) return say("connecting", "Connecting…", "You are in the room; the agent is on its way.");
  return say("waiting", "No agent yet", "It is not in the room. Is it running, and what does it say?");
}

function describeAgent({ agentState, tools = [], someoneElseIsHeard, interrupted, microphone }) {
  if (someoneElseIsHeard) {
    return say("waiting", "Not your turn", "It listens to someone else, perhaps in another tab.");
  }
  const ways = {
    open: "",
    muted: "You are muted. It reads what you type.",
    asked: "Allow the microphone in your browser, or type.",
    none: "It reads what you type.",
  };
  const listens = { open: "Listening", muted: "Muted", asked: "Ready", none: "Ready" }[microphone] ?? "Listening";
  switch (agentState) {
    case "thinking":
      if (interrupted) break; // the decision comes with the end of the sentence, and an answer right after it
      return say("thinking", "Thinking…", tools.length ? `Using ${tools.map(plain).join(" and ")}.` : "");
    case "speaking":
      if (interrupted) break;
      return say("speaking", "Speaking", ways[microphone] || "Talk over it whenever you like.");
    case "listening":
    case "idle":
      if (interrupted) break;
      return say("listening", listens, ways[microphone] || "Speak whenever you like.");
    default:
      return say("connecting", "Connecting…", "The agent is getting ready.");
  }
  return say("interrupted", "Interrupted", "It stopped, and is listening to you.");
}

// The runner's own words are the half of a line each.
function sentence(text) {
  return text.replace(/^./, (letter) => letter.toUpperCase());
}

// A tool's name as one reads it: order_status is "order status".
function plain(name) {
  return name.replaceAll("_", " ");
}

function say(name, title, detail) {
  return { name, title, detail };
}
