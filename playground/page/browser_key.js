// By what the runner knows this browser again, so that a page that is reloaded goes on with its own call: a
// random key, kept here and shown to nobody but the runner. Two tabs are two people: the second one has a key
// of its own for as long as it is open.

const KEPT_AS = "voice-agent.browser";
// A page that is being reloaded lets go of the key a moment later than the next one asks for it.
const LET_GO_WITHIN_MS = 1000;

/** Gives the key, the same one for as long as this page is open. */
export const browserKey = findKey();

async function findKey() {
  const kept = keptKey();
  return kept !== null && (await isOurs(kept)) ? kept : freshKey();
}

function keptKey() {
  try {
    if (!localStorage.getItem(KEPT_AS)) localStorage.setItem(KEPT_AS, freshKey());
    return localStorage.getItem(KEPT_AS);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function isOurs(key) {
  return new Promise((resolve) => {
    const ours = () => {
      resolve(true);
      return new Promise(() => {}); // until the page is closed
    };
    const options = { signal: AbortSignal.timeout(LET_GO_WITHIN_MS) };
    navigator.locks.request(`${KEPT_AS} ${key}`, options, ours).catch(() => resolve(false));
  });
}

function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
