// Tells an address of yours, with a POST of JSON. The words are those of the interface (`wit/`), in camelCase. There is the
// language and what the interface imports: no `console`, no `URL`, no `TextEncoder`, no `fetch`.

import http from "uptime:notifier/http@0.1.0";
import log from "uptime:notifier/log@0.1.0";

export const notifier = {
  describe() {
    return {
      name: "hello",
      version: "0.1.0",
      summary: "Tells an address of yours",
      fields: [
        { key: "url", help: "where it is told", kind: "url", required: true, default: null, choices: [], places: [] },
      ],
      hosts: [],
      digests: true,
    };
  },

  // Missing keys and wrong kinds have been found already. Here is what only this plugin knows.
  validate() {
    return [];
  },

  notify(settings, event, delivery) {
    try {
      return tell(settings, event, delivery);
    } catch (error) {
      // What is no error of the interface would end as a crash without a word.
      if (!error?.tag) log.write("error", `${error} ${error?.stack ?? ""}`);
      throw error;
    }
  },
};

function tell(settings, event, delivery) {
  const setting = (key) => settings.find((setting) => setting.key === key)?.value.val;
  const response = send({
    method: "post",
    url: setting("url"),
    query: [],
    // The id is the same on each try: who has seen it has the message already.
    headers: [["content-type", "application/json"], ["idempotency-key", delivery.id]],
    basicAuth: null,
    body: bytes(JSON.stringify({
      // The words are composed already; here they are brought into the form that the receiver wants.
      text: event.message.headline,
      cause: event.message.cause ?? null,
    })),
    timeoutMs: null,
    signatures: [],
  });
  if (response.status < 200 || response.status > 299) throw verdict(response);
  return { remoteId: null, detail: null, replaced: [], pauseMs: null };
}

/** Sends it. Where no answer came, that is said in the words of the interface. */
function send(request) {
  try {
    return http.send(request);
  } catch (error) {
    const { tag, val } = error?.payload ?? error;
    if (tag === "denied" || tag === "invalid") throw { tag: "config", val: [{ key: null, message: val }] };
    throw { tag: "transient", val: { message: val ?? "no complete answer in time", afterMs: null, progress: null } };
  }
}

/** What a status that is no success means, and with it what happens next. */
function verdict({ status, retryAfterMs }) {
  const message = `status ${status}`;
  const retry = { message, afterMs: retryAfterMs ?? null, progress: null };
  if (status === 429) return { tag: "rate-limited", val: retry };
  if ([408, 425, 500, 502, 503, 504].includes(status) || (status >= 520 && status <= 529)) return { tag: "transient", val: retry };
  if (status === 401 || status === 403) return { tag: "unauthorized", val: message };
  if (status === 404 || status === 410) return { tag: "gone", val: message };
  return { tag: "permanent", val: message };
}

/** UTF-8. */
function bytes(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text.toWellFormed())), (character) => character.charCodeAt(0));
}
