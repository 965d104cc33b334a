"""Tells a room of Matrix (https://spec.matrix.org, client-server API).

`uptime plugin build` makes a component of it, `uptime plugin test matrix-py.wasm` rehearses it. Each message is sent under
the delivery's id as the transaction, so that a second try of the same message shows nothing twice.
"""

import json
import unicodedata
from html import escape
from urllib.parse import quote

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import http, types
from wit_world.imports.types import FieldKind

# The statuses after which another try makes sense.
PASSING = {408, 425, 500, 502, 503, 504, *range(520, 530)}


def field(
    key: str, kind: FieldKind, help: str, default: str | None = None, places: list[types.Place] | None = None
) -> types.Field:
    return types.Field(key, help, kind, default is None, default, [], places or [])


class Notifier(exports.Notifier):
    def describe(self) -> types.Description:
        return types.Description(
            name="matrix-py",
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
            digests=True,
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
                signatures=[],
            )
        )
        answer = parsed(response.body)
        if not 200 <= response.status <= 299:
            raise Err(verdict(response, answer))
        event_id = answer.get("event_id")
        return types.Receipt(event_id if isinstance(event_id, str) else None, None, [], None)


def values(settings: list[types.Setting]) -> dict:
    return {setting.key: setting.value.value for setting in settings}


def message(event: types.Event, delivery: types.Delivery, quiet: bool) -> dict:
    """The event's content: plain, and as HTML in which nothing that came from outside is markup."""
    # What is said is composed by the host; here it is brought into Matrix' form.
    headline = f"{event.message.symbol} {event.message.headline}"
    rest = [event.message.cause] if event.message.cause else []
    rest += [f"{fact.label}: {shown(fact.value)}" for fact in event.message.facts]
    rest += [f"{link.label}: {link.address}" for link in event.message.links]
    content = {
        "msgtype": "m.notice" if quiet else "m.text",
        "body": "\n".join([headline, *rest]),
        "format": "org.matrix.custom.html",
        "formatted_body": "<br>".join([f"<strong>{escape(headline)}</strong>", *map(escape, rest)]),
        # Nobody is mentioned, whatever names the texts hold.
        "m.mentions": {},
    }
    if delivery.first_remote_id:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": delivery.first_remote_id}}
    return content


def shown(value: types.Value) -> str:
    return value.value.text if isinstance(value, types.Value_Instant) else value.value


def line(text: str, max: int) -> str:
    """Texts come from strangers: one line, no control characters, at most so many of the others."""
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text).strip()
    return text if len(text) <= max else text[: max - 1] + "…"


def send(request: http.Request) -> http.Response:
    """Sends it. Where no answer came, that is said in the words of the interface."""
    try:
        return http.send(request)
    except Err as error:
        match error.value:
            case http.HttpError_Denied(reason) | http.HttpError_Invalid(reason):
                raise Err(types.NotifyError_Config([types.Problem(None, reason)]))
            case http.HttpError_Timeout():
                raise Err(types.NotifyError_Transient(types.Retry("no complete answer in time", None, None)))
            case other:
                raise Err(types.NotifyError_Transient(types.Retry(other.value, None, None)))


def verdict(response: http.Response, answer: dict) -> types.NotifyError:
    """What a status that is no success means: the rule that all notifiers share."""
    status, words = response.status, answer.get("error")
    text = f"status {status}: {line(words, 200)}" if isinstance(words, str) else f"status {status}"
    # The later of what header and body say.
    waits = [ms for ms in (response.retry_after_ms, answer.get("retry_after_ms")) if isinstance(ms, int) and ms >= 0]
    retry = types.Retry(text, max(waits, default=None), None)
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


def parsed(body: bytes) -> dict:
    """The body's object; an empty one where there is none. The parser would go as deep as a stranger likes."""
    if body.count(b"[") + body.count(b"{") > 1_000:
        return {}
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
