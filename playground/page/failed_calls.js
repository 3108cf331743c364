// Why an RPC call of the agent failed, in words: by LiveKit's codes.

/** `unknown` is what to say of an agent that has no such method. */
export function whyNotAsked(error, unknown) {
  if (error.code === 1400) return unknown;
  if (error.code === 1501 || error.code === 1502 || error.code === 1504) return "the agent did not answer.";
  if (error.code === 1401 || error.code === 1503) return "the agent is no longer there.";
  return error.message || "the agent could not be reached.";
}
