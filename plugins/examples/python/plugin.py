"""Tells a room of Matrix (https://spec.matrix.org, client-server API).

`uptime plugin build` makes a component of it, `uptime plugin test matrix.wasm` rehearses it. Each message is sent under
the delivery's id as the transaction, so that a second try of the same message shows nothing twice.
"""

import json
import unicodedata
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from html import escape
from urllib.parse import quote

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import http, types
from wit_world.imports.types import EventType, FieldKind

# What each event looks like: a symbol, and the words behind the monitor's name.
LOOKS = {
    EventType.DOWN: ("🔴", "is DOWN"),
    EventType.UP: ("🟢", "is up again"),
    EventType.DEGRADED: ("🟡", "is degraded"),
    EventType.CRITICAL: ("🚨", "is still DOWN, for long"),
    EventType.REMINDER: ("🔴", "is still DOWN"),
    EventType.FLAPPING_START: ("🔁", "is flapping"),
    EventType.FLAPPING_END: ("✅", "is steady again"),
    EventType.CERTIFICATE: ("🔒", "has a certificate that ends soon"),
    EventType.ACKNOWLEDGED: ("👀", "is being looked at"),
    EventType.BLIND: ("🙈", "can't be seen: the monitor's own network is away"),
    EventType.SEEING: ("👀", "can be seen again"),
    EventType.STALLED: ("🛑", "is not being checked: results stopped coming"),
    EventType.RUNNING: ("✅", "is being checked again"),
    EventType.QUEUE_BUSY: ("⏳", "has a queue over its limit"),
    EventType.CHANNEL_BROKEN: ("🔕", "has a channel that can't be told"),
    EventType.TEST: ("👋", "sends a test message"),
}

# These are about a target; the others are about the monitor itself.
ABOUT_TARGET = set(LOOKS) - {
    EventType.BLIND, EventType.SEEING, EventType.STALLED, EventType.RUNNING, EventType.QUEUE_BUSY,
    EventType.CHANNEL_BROKEN, EventType.TEST,
}

# The statuses after which another try makes sense.
PASSING = {408, 425, 500, 502, 503, 504, *range(520, 530)}
DAY_MS = 86_400_000


def field(
    key: str, kind: FieldKind, help: str, default: str | None = None, places: list[types.Place] | None = None
) -> types.Field:
    return types.Field(key, help, kind, default is None, default, [], places or [])


class Notifier(exports.Notifier):
    def describe(self) -> types.Description:
        return types.Description(
            name="matrix",
            version="0.1.0",
            summary="A room of Matrix",
            fields=[
                field("homeserver", FieldKind.URL, "the account's server, such as `https://matrix.org`"),
                # It goes into this header of requests to the homeserver, and nowhere else.
                field(
                    "access_token",
                    FieldKind.SECRET,
                    "the account's access token",
                    places=[types.Place_Header(types.HeaderPlace("homeserver", "authorization"))],
                ),
                field("room", FieldKind.TEXT, "the room's id, `!…:server`; the account has to be in it"),
                field("quiet", FieldKind.BOOLEAN, "send notices, which ring nowhere", "false"),
            ],
            # The homeserver's address grants its host by being written into the channel.
            hosts=[],
        )

    def validate(self, settings: list[types.Setting]) -> list[types.Problem]:
        room = values(settings)["room"]
        if not room.startswith("!"):
            return [types.Problem("room", "takes the room's id, which begins with `!`: its alias can move")]
        return []

    def notify(
        self, settings: list[types.Setting], event: types.Event, delivery: types.Delivery
    ) -> types.Receipt:
        channel = values(settings)
        path = f"/_matrix/client/v3/rooms/{quote(channel['room'], safe='')}/send/m.room.message/{delivery.id}"
        response = send(
            http.Request(
                method=http.Method.PUT,
                url=channel["homeserver"].rstrip("/") + path,
                query=[],
                # The token is a reference. The host puts the value in as the request leaves.
                headers=[
                    ("content-type", "application/json"),
                    ("authorization", f"Bearer {channel['access_token']}"),
                ],
                basic_auth=None,
                body=json.dumps(message(event, delivery, channel.get("quiet", False)), ensure_ascii=False).encode(),
                timeout_ms=None,
            )
        )
        answer = parsed(response.body)
        if not 200 <= response.status <= 299:
            raise Err(verdict(response, answer, delivery.now_ms))
        event_id = answer.get("event_id")
        return types.Receipt(event_id if isinstance(event_id, str) else None, None, [], None)


def values(settings: list[types.Setting]) -> dict:
    return {setting.key: setting.value.value for setting in settings}


def message(event: types.Event, delivery: types.Delivery, quiet: bool) -> dict:
    """The event's content: plain, and as HTML in which nothing that came from outside is markup."""
    symbol, words = LOOKS[event.kind]
    headline = f"{symbol} {inert(event.monitor.name, 150)} {words}"
    rest = list(facts(event))
    content = {
        "msgtype": "m.notice" if quiet else "m.text",
        "body": "\n".join([headline, *rest]),
        "format": "org.matrix.custom.html",
        "formatted_body": "<br>".join([f"<strong>{escape(headline)}</strong>", *map(escape, rest)]),
        # Nobody is mentioned, whatever names the texts hold.
        "m.mentions": {},
    }
    if delivery.opening_remote_id:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": delivery.opening_remote_id}}
    return content


def facts(event: types.Event):
    outcome, incident = event.outcome, event.incident
    if outcome:
        # A recovery bears what the incident was about.
        was = "it was: " if event.kind is EventType.UP else ""
        yield was + inert(outcome.message, 800)
        if outcome.expected and outcome.got:
            yield f"expected {inert(outcome.expected, 200)}, got {inert(outcome.got, 200)}"
    if event.kind in ABOUT_TARGET:
        yield line(event.monitor.target, 400)
    if incident and incident.duration_s is not None:
        yield f"was down for {duration(incident.duration_s)}"
    elif incident:
        since = datetime.fromtimestamp(incident.started_at_ms / 1_000, timezone.utc)
        yield f"since {since:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: int) -> str:
    """In its two largest units."""
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def line(text: str, max: int) -> str:
    """Texts come from strangers: one line, no control characters, at most so many of the others."""
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text).strip()
    return text if len(text) <= max else text[: max - 1] + "…"


def inert(text: str, max: int) -> str:
    """As `line`, with nothing in it that a client makes a link or a mention of."""
    return line(text, max).replace("://", ":\u2060//").replace("@", "@\u2060")


def send(request: http.Request) -> http.Response:
    """Sends it. Where no answer came, that is said in the words of the interface."""
    try:
        return http.send(request)
    except Err as error:
        match error.value:
            case http.HttpError_Denied(reason) | http.HttpError_Invalid(reason):
                raise Err(types.NotifyError_Config([types.Problem(None, reason)]))
            case http.HttpError_Timeout():
                raise Err(types.NotifyError_Transient(types.Retry("no complete answer in time", None)))
            case other:
                raise Err(types.NotifyError_Transient(types.Retry(other.value, None)))


def verdict(response: http.Response, answer: dict, now_ms: int) -> types.NotifyError:
    """What a status that is no success means: the rule that all notifiers share."""
    status, words = response.status, answer.get("error")
    text = f"status {status}: {line(words, 200)}" if isinstance(words, str) else f"status {status}"
    retry = types.Retry(text, retry_after_ms(response, answer, now_ms))
    match status:
        case 429:
            return types.NotifyError_RateLimited(retry)
        case _ if status in PASSING:
            return types.NotifyError_Transient(retry)
        case 401 | 403:
            return types.NotifyError_Unauthorized(text)
        case 404 | 410:
            return types.NotifyError_Gone(text)
        case _:
            return types.NotifyError_Permanent(text)


def retry_after_ms(response: http.Response, answer: dict, now_ms: int) -> int | None:
    """The later of the header `retry-after` (seconds, or a date) and the body's `retry_after_ms`; at most a day."""
    times = []
    header = next((value.strip() for name, value in response.headers if name == "retry-after"), "")
    if header.isascii() and header.isdigit():
        times.append(int(header) * 1_000)
    elif header[3:4] == ",":  # `Tue, 14 Apr 2026 …`; the other forms of a date are nobody's any more.
        try:
            times.append(int(parsedate_to_datetime(header).timestamp() * 1_000) - now_ms)
        except ValueError:
            pass
    if isinstance(answer.get("retry_after_ms"), int):
        times.append(answer["retry_after_ms"])
    return min(max(*times, 0), DAY_MS) if times else None


def parsed(body: bytes) -> dict:
    """The body's object; an empty one where there is none. The parser would go as deep as a stranger likes."""
    if body.count(b"[") + body.count(b"{") > 1_000:
        return {}
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
