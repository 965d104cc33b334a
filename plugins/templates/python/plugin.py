"""Tells an address of yours, with a POST of JSON. The words are those of the interface (`wit/`)."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import http, types
from wit_world.imports.types import FieldKind

# The statuses after which another try makes sense.
PASSING = {408, 425, 500, 502, 503, 504, *range(520, 530)}


class Notifier(exports.Notifier):
    def describe(self) -> types.Description:
        return types.Description(
            name="hello",
            version="0.1.0",
            summary="Tells an address of yours",
            fields=[types.Field("url", "where it is told", FieldKind.URL, True, None, [], [])],
            hosts=[],
            digests=True,
        )

    def validate(self, settings: list[types.Setting]) -> list[types.Problem]:
        # Missing keys and wrong kinds have been found already. Here is what only this plugin knows.
        return []

    def notify(
        self, settings: list[types.Setting], event: types.Event, delivery: types.Delivery
    ) -> types.Receipt:
        channel = {setting.key: setting.value.value for setting in settings}
        body = {
            # The words are composed already; here they are brought into the form that the receiver wants.
            "text": event.message.headline,
            "cause": event.message.cause,
        }
        response = send(
            http.Request(
                method=http.Method.POST,
                url=channel["url"],
                query=[],
                # The id is the same on each try: who has seen it has the message already.
                headers=[("content-type", "application/json"), ("idempotency-key", delivery.id)],
                basic_auth=None,
                body=json.dumps(body, ensure_ascii=False).encode(),
                timeout_ms=None,
                signatures=[],
            )
        )
        if not 200 <= response.status <= 299:
            raise Err(verdict(response))
        return types.Receipt(None, None, [], None)


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


def verdict(response: http.Response) -> types.NotifyError:
    """What a status that is no success means, and with it what happens next."""
    status, text = response.status, f"status {response.status}"
    retry = types.Retry(text, response.retry_after_ms, None)
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
