// Tells a topic of ntfy (https://ntfy.sh, or a server of one's own), which shows it on phones and desktops.
//
// `uptime plugin build` makes a component of it, `uptime plugin test ntfy-js.wasm` rehearses it. What it can ask of the
// host is what it imports; the words are those of the interface, in camelCase.

import http from "uptime:notifier/http@0.1.0";

/** ntfy's priorities: 5 rings through silence, 3 is its own default. */
const PRIORITIES = { info: 3, degraded: 3, down: 4, critical: 5 };

/** The statuses after which another try makes sense. */
const PASSING = new Set([408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 528, 529]);

/** ntfy turns a longer message into an attached file. */
const MESSAGE_BYTES = 4_000;

export const notifier = {
  describe() {
    const field = (key, kind, required, help, fallback = null, places = []) =>
      ({ key, kind, required, help, default: fallback, choices: [], places });
    // A secret goes where its field says, and nowhere else: to ntfy.sh, or to the server of the channel.
    const inBody = ["https://ntfy.sh", "server"].map((to) => ({ tag: "body", val: to }));
    const inHeader = ["https://ntfy.sh", "server"].map((to) => ({ tag: "header", val: { to, name: "authorization" } }));
    return {
      name: "ntfy-js",
      version: "0.1.0",
      summary: "A topic of ntfy, shown on phones and desktops",
      fields: [
        field("server", "url", false, "where ntfy runs", "https://ntfy.sh"),
        field("topic", "secret", true, "the topic; who knows it can read it", null, inBody),
        field("token", "secret", false, "an access token (`tk_…`), where the topic is protected", null, inHeader),
      ],
      hosts: ["https://ntfy.sh"],
      digests: true,
    };
  },

  // What is wrong with each kind of setting the host has told already.
  validate() {
    return [];
  },

  notify(settings, event) {
    const setting = (key) => settings.find((setting) => setting.key === key)?.value.val;
    // What is said is composed by the host; here it is brought into ntfy's form.
    const { symbol, headline, cause, facts, links } = event.message;
    const isOver = event.phase === "ends" || event.phase === "taken";
    const message = {
      topic: setting("topic"),
      title: `${symbol} ${headline}`,
      message: cut([cause, ...facts.map(fact)].filter(Boolean).join("\n"), MESSAGE_BYTES),
      priority: isOver ? 3 : PRIORITIES[event.severity],
    };
    if (links.length > 0) message.click = links[0].address;
    const headers = [["content-type", "application/json"]];
    const token = setting("token");
    // The token and the topic are references. The host puts the values in as the request leaves.
    if (token) headers.push(["authorization", `Bearer ${token}`]);
    const response = send({
      method: "post",
      url: setting("server") ?? "https://ntfy.sh",
      query: [],
      headers,
      basicAuth: null,
      body: bytes(JSON.stringify(message)),
      timeoutMs: null,
      signatures: [],
    });
    const answer = parsed(response.body);
    if (response.status < 200 || response.status > 299) {
      throw verdict(response, said(answer?.error));
    }
    return { remoteId: typeof answer?.id === "string" ? answer.id : null, detail: null, replaced: [], pauseMs: null };
  },
};

/** A fact as a line. */
function fact({ label, value: { tag, val } }) {
  return `${label}: ${tag === "instant" ? val.text : val}`;
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

/** What a status that is no success means: the rule that all notifiers share. */
function verdict({ status, retryAfterMs }, words) {
  const message = words ? `status ${status}: ${words}` : `status ${status}`;
  const retry = { message, afterMs: retryAfterMs ?? null, progress: null };
  if (status === 429) return { tag: "rate-limited", val: retry };
  if (PASSING.has(status)) return { tag: "transient", val: retry };
  if (status === 401 || status === 403) return { tag: "unauthorized", val: message };
  if (status === 404 || status === 410) return { tag: "gone", val: message };
  return { tag: "permanent", val: message };
}

/** Texts come from strangers: one line, no control characters. */
function oneLine(text) {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, " ").trim();
}

/** The provider's words, for people. */
function said(text) {
  return typeof text === "string" ? cut(oneLine(text), 200) : "";
}

/** The text in at most so many bytes, whole characters. */
function cut(text, max) {
  if (bytes(text).length <= max) return text;
  let left = max - 3;
  let end = 0;
  for (const character of text) {
    left -= bytes(character).length;
    if (left < 0) break;
    end += character.length;
  }
  return `${text.slice(0, end)}…`;
}

/** UTF-8. */
function bytes(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text.toWellFormed())), (character) => character.charCodeAt(0));
}

/** The body's JSON, if it is such. The parser would go as deep as a stranger likes. */
function parsed(body) {
  if (body.filter((byte) => byte === 0x5b || byte === 0x7b).length > 1_000) return null;
  try {
    return JSON.parse(decodeURIComponent(escape(String.fromCharCode(...body))));
  } catch {
    return null;
  }
}
