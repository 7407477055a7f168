"""Ways in which a server can misbehave. Each is a function of the exchange and of the honest answer."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from opscheck.demo.kubernetes import statuses
from opscheck.demo.kubernetes.lists import INCONSISTENT, Place
from opscheck.demo.serving import Exchange, Response

Honest = Callable[[], Response]
Script = Callable[[Exchange, Honest], None]

_LOGIN_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"


def respond(response: Response) -> Script:
    """Always this answer: `respond(statuses.too_many_requests(retry_after=1))`."""
    return lambda exchange, _honest: exchange.send(response)


def respond_with(
    status: int,
    body: bytes | str | Mapping[str, Any] = b"",
    *,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Script:
    """An answer spelled out; a mapping is sent as JSON."""
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return respond(Response(status, raw, content_type, headers or {}))


def html(status: int = 200) -> Script:
    """The sign-in page of a proxy in front of the API."""
    return respond_with(status, _LOGIN_PAGE, content_type="text/html; charset=utf-8")


def never() -> Script:
    """Read the request, keep the connection, say nothing."""
    return lambda exchange, _honest: exchange.pause()


def late(seconds: float) -> Script:
    """The honest answer, after a while."""

    def script(exchange: Exchange, honest: Honest) -> None:
        exchange.pause(seconds)
        exchange.send(honest())

    return script


def trickle(every: float = 1.0, *, head_too: bool = False) -> Script:
    """The honest answer, one byte each `every` seconds; the headers at once unless `head_too`."""

    def script(exchange: Exchange, honest: Honest) -> None:
        response = honest()
        raw = response.payload()
        if head_too:
            raw = response.head() + raw
        else:
            exchange.write(response.head())
        for number in range(len(raw)):
            exchange.write(raw[number : number + 1])
            exchange.pause(every)

    return script


def truncated() -> Script:
    """Promise the whole body, send half of it, hang up."""

    def script(exchange: Exchange, honest: Honest) -> None:
        response = honest()
        raw = response.payload()
        exchange.write(response.head() + raw[: len(raw) // 2])
        exchange.drop()

    return script


def hang_up() -> Script:
    """Close the connection without a byte."""
    return lambda exchange, _honest: exchange.drop()


def expired_continue(*, fresh: bool = True) -> Script:
    """
    410 to a list that goes on: the pages are older than etcd's last compaction.

    fresh: the body offers a token that continues; without it only a new list helps.
    """

    def script(exchange: Exchange, honest: Honest) -> None:
        token = exchange.request.query.get("continue")
        if token is None:
            exchange.send(honest())
            return
        renewed = Place(INCONSISTENT, Place.read(token).after).token() if fresh else None
        exchange.send(statuses.expired(renewed))

    return script
