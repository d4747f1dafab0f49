// The server's interface, and nothing else's.

/** What the server is. */
export async function health() {
  const response = await fetch("health");
  return response.json();
}

/**
 * Asks one route about a recording.
 * @param {string} route "classify" or "timeline"
 * @param {{audio?: Blob, text?: string, token?: string, signal?: AbortSignal}} question
 * @returns {Promise<object>} the answer; throws an Error that says in one line why there is none
 */
export async function ask(route, { audio, text, token, signal }) {
  const form = new FormData();
  if (audio) form.append("file", audio, "recording");
  if (text) form.append("text", text);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(`v1/${route}`, { method: "POST", body: form, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  const answer = await response.json().catch(() => ({ error: `The server said ${response.status}.` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}
