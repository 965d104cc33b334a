// Tells a topic of ntfy (https://ntfy.sh, or a server of one's own), which shows it on phones and desktops.
//
// `uptime plugin build` makes a component of it, `uptime plugin test ntfy.wasm` rehearses it. What it can ask of the
// host is what it imports; the words are those of the interface, in camelCase.

import http from "uptime:notifier/http@0.1.0";

/** What each event looks like: ntfy's priority (1 to 5), its tag (an emoji's name) and the words behind the monitor's name. */
const LOOKS = {
  "down": [4, "red_circle", "is DOWN"],
  "up": [3, "green_circle", "is up again"],
  "degraded": [3, "yellow_circle", "is degraded"],
  "critical": [5, "rotating_light", "is still DOWN, for long"],
  "reminder": [3, "red_circle", "is still DOWN"],
  "flapping-start": [3, "repeat", "is flapping"],
  "flapping-end": [2, "heavy_check_mark", "is steady again"],
  "certificate": [3, "lock", "has a certificate that ends soon"],
  "acknowledged": [2, "eyes", "is being looked at"],
  "blind": [4, "see_no_evil", "can't be seen: the monitor's own network is away"],
  "seeing": [3, "eyes", "can be seen again"],
  "stalled": [5, "stop_sign", "is not being checked: results stopped coming"],
  "running": [3, "heavy_check_mark", "is being checked again"],
  "queue-busy": [4, "hourglass", "has a queue over its limit"],
  "channel-broken": [4, "no_bell", "has a channel that can't be told"],
  "test": [3, "wave", "sends a test message"],
};

/** These are not about a target, but about the monitor itself. */
const ABOUT_ITSELF = new Set(["blind", "seeing", "stalled", "running", "queue-busy", "channel-broken", "test"]);

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
      name: "ntfy",
      version: "0.1.0",
      summary: "A topic of ntfy, shown on phones and desktops",
      fields: [
        field("server", "url", false, "where ntfy runs", "https://ntfy.sh"),
        field("topic", "secret", true, "the topic; who knows it can read it", null, inBody),
        field("token", "secret", false, "an access token (`tk_…`), where the topic is protected", null, inHeader),
      ],
      hosts: ["https://ntfy.sh"],
    };
  },

  // What is wrong with each kind of setting the host has told already.
  validate() {
    return [];
  },

  notify(settings, event, delivery) {
    const setting = (key) => settings.find((setting) => setting.key === key)?.value.val;
    const [priority, tag, words] = LOOKS[event.kind];
    const message = {
      topic: setting("topic"),
      title: cut(`${inert(event.monitor.name)} ${words}`, 250),
      message: cut(facts(event).join("\n"), MESSAGE_BYTES),
      tags: [tag],
      priority,
    };
    if (event.incident?.link) message.click = event.incident.link;
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
    });
    const answer = parsed(response.body);
    if (response.status < 200 || response.status > 299) {
      throw verdict(response, said(answer?.error), Number(delivery.nowMs));
    }
    return { remoteId: typeof answer?.id === "string" ? answer.id : null, detail: null, replaced: [], pauseMs: null };
  },
};

/** What a person wants to know, a line each. */
function facts({ kind, monitor, incident, outcome }) {
  const lines = [];
  // A recovery bears what the incident was about.
  if (outcome) lines.push((kind === "up" ? "it was: " : "") + inert(outcome.message));
  if (outcome?.expected && outcome?.got) lines.push(`expected ${inert(outcome.expected)}, got ${inert(outcome.got)}`);
  if (!ABOUT_ITSELF.has(kind)) lines.push(oneLine(monitor.target));
  if (incident?.durationS != null) lines.push(`was down for ${duration(incident.durationS)}`);
  else if (incident) lines.push(`since ${new Date(Number(incident.startedAtMs)).toISOString().slice(0, 19).replace("T", " ")} UTC`);
  return lines;
}

function duration(seconds) {
  const all = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
  const first = all.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  return all.slice(first, first + 2).map(([size, unit], nth) => {
    const count = Math.floor(nth === 0 ? seconds / size : (seconds % all[first][0]) / size);
    return count > 0 ? `${count} ${unit}` : "";
  }).filter(Boolean).join(" ");
}

/** Sends it. Where no answer came, that is said in the words of the interface. */
function send(request) {
  try {
    return http.send(request);
  } catch (error) {
    const { tag, val } = error?.payload ?? error;
    if (tag === "denied" || tag === "invalid") throw { tag: "config", val: [{ key: null, message: val }] };
    throw { tag: "transient", val: { message: val ?? "no complete answer in time", afterMs: null } };
  }
}

/** What a status that is no success means: the rule that all notifiers share. */
function verdict({ status, headers }, words, nowMs) {
  const message = words ? `status ${status}: ${words}` : `status ${status}`;
  const retry = { message, afterMs: retryAfterMs(headers, nowMs) };
  if (status === 429) return { tag: "rate-limited", val: retry };
  if (PASSING.has(status)) return { tag: "transient", val: retry };
  if (status === 401 || status === 403) return { tag: "unauthorized", val: message };
  if (status === 404 || status === 410) return { tag: "gone", val: message };
  return { tag: "permanent", val: message };
}

/** The header `retry-after`: seconds, or a date as HTTP writes it. At most a day. */
function retryAfterMs(headers, nowMs) {
  const value = headers.find(([name]) => name === "retry-after")?.[1]?.trim() ?? "";
  const isDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value);
  const ms = isDate ? Date.parse(value) - nowMs : /^\d+$/.test(value) ? Number(value) * 1_000 : NaN;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), 86_400_000);
}

/** Texts come from strangers: one line, no control characters. */
function oneLine(text) {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, " ").trim();
}

/** As `oneLine`, with nothing in it that an app makes a link or a mention of. */
function inert(text) {
  return oneLine(text).replaceAll("://", ":\u2060//").replaceAll("@", "@\u2060");
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
