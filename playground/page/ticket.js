// What lets this page into the room: asked of the runner, which serves the page, each time it joins.

import { browserKey } from "/browser_key.js";

/** The runner gave no ticket; `obstacle` says what is in the way. */
export class NoTicket extends Error {
  constructor(obstacle) {
    super("no ticket");
    this.obstacle = obstacle;
  }
}

/** Gives {url, token, identity}: this browser's identity and a token that is good for a short time. */
export async function askForTicket() {
  let response;
  try {
    const body = await browserKey;
    response = await fetch("/join", { method: "POST", body, cache: "no-store", signal: AbortSignal.timeout(5000) });
  } catch {
    throw new NoTicket({ what: "runner" });
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new NoTicket({ what: "told", told: answer });
  return answer;
}

/** Whether the runner still serves this page. */
export async function runnerAnswers() {
  try {
    await fetch("/icon.svg", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(2000) });
    return true;
  } catch {
    return false;
  }
}
