// Loads the page anew in the middle of a call, and goes on with the call there.
//
// What a page may connect to is fixed when it is loaded (its policy), and each run of the runner has a LiveKit
// server at a port of its own. A page of an earlier run cannot join that, but the same page loaded anew can.

const KEPT_AS = "voice-agent.start-over";
// Sooner than that it has not helped, and will not.
const AGAIN_AFTER_MS = 20000;

/** Loads the page anew, unless that was just tried; `wish` is what `goOnHere` gives then. */
export function startOver(wish) {
  try {
    const former = JSON.parse(sessionStorage.getItem(KEPT_AS) ?? "{}");
    if (Date.now() - (former.at ?? 0) < AGAIN_AFTER_MS) return;
    sessionStorage.setItem(KEPT_AS, JSON.stringify({ at: Date.now(), wish }));
  } catch {
    return; // a browser that keeps nothing would do it again and again
  }
  location.reload();
}

/** What the page that this one takes the place of was doing, once, or null. */
export function goOnHere() {
  try {
    const former = JSON.parse(sessionStorage.getItem(KEPT_AS) ?? "{}");
    if (former.wish) sessionStorage.setItem(KEPT_AS, JSON.stringify({ at: former.at }));
    return former.wish ?? null;
  } catch {
    return null;
  }
}
