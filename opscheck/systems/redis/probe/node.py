"""Queries one Redis or Valkey server. Every query opens a connection of its own."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from redis import exceptions

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.redis.ping import PingAnswer
from opscheck.systems.redis.probe.address import Address, NoHandshake, connect
from opscheck.systems.redis.probe.client import Client, Said
from opscheck.systems.redis.servers import Refusal, acl_rule, typed
from opscheck.transport.connect import late, unreachable


class Refused(Exception):  # noqa: N818 - a state of the server, and often the very thing that is judged
    """The server is there and refuses, because of its own state."""

    def __init__(self, refusal: Refusal, error: str) -> None:
        super().__init__(error)
        self.refusal = refusal
        self.error = error


@dataclass(frozen=True)
class Node:
    """One server, and how it is reached."""

    address: Address
    context: ssl.SSLContext | None
    credentials: str = "the target's url"
    """Where its user and password stand."""

    def contact(self, deadline: float) -> None:
        """Connect, without a word. Raises ProbeError."""
        started = time.monotonic()
        try:
            connect(self.address, None, deadline).close()
        except TimeoutError as error:
            raise self.late("connection to", started, target_down=True) from error
        except OSError as error:
            raise unreachable(error, str(self.address)) from error

    def ping(self, samples: int, deadline: float) -> PingAnswer:
        """Log in and PING. Raises ProbeError."""
        started = time.monotonic()
        pings: list[float] = []
        with self._client(deadline) as client:
            said = self._log_in(client)
            connect_s = time.monotonic() - started
            while not said.error and len(pings) < samples:
                asked = time.monotonic()
                said = client.ping()
                if not said.error:
                    pings.append(time.monotonic() - asked)
        self._raise_if_denied(said, "ping")
        return PingAnswer(refusal=said.refusal, error=said.error, connect_s=connect_s, pings_s=tuple(pings))

    def say(self, command: str, *arguments: str, deadline: float) -> Any:
        """
        Log in, say `command`, which is named as in an access list, and return the reply.

        Raises ProbeError, and Refused where it is the server's own state that stands in the way.
        """
        with self._client(deadline) as client:
            said = self._log_in(client)
            if not said.error:
                said = client.say(*typed(command).split(), *arguments)
        self._raise_if_denied(said, command)
        if said.refusal is not None:
            raise Refused(said.refusal, said.error)
        return said.value

    def unreadable(self, command: str) -> ProbeError:
        """The reply to `command` is none that Redis gives."""
        text = f"what {self.address} answers to {typed(command)} cannot be read"
        return ProbeError(ProblemKind.UNREADABLE, text, "is there a proxy before it, or is it no Redis?")

    def late(self, missing: str, started: float, *, target_down: bool = False) -> ProbeError:
        """The problem that something is missing since `started`, on the monotonic clock: `answer from`."""
        waited = time.monotonic() - started
        return late(f"no {missing} {self.address} in {format_duration(waited)}", waited, target_down=target_down)

    @contextmanager
    def _client(self, deadline: float) -> Iterator[Client]:
        started = time.monotonic()
        try:
            with Client(self.address, self.context, deadline) as client:
                yield client
        except NoHandshake as error:
            problem = self.late("TLS handshake with", started)
            problem.problem = replace(problem.problem, advice="is this a port without TLS?")
            raise problem from error
        except (TimeoutError, exceptions.TimeoutError) as error:
            raise self.late("answer from", started) from error
        except OSError as error:
            raise unreachable(error, str(self.address)) from error

    def _log_in(self, client: Client) -> Said:
        said = client.log_in()
        if said.refusal is not Refusal.OTHER or said.code == "DENIED":
            return said  # about the server, and not about who logs in
        # Not in the server's words: "unknown command AUTH, with args beginning with …" quotes the password.
        raise ProbeError(
            ProblemKind.DENIED,
            f"{self.address} does not accept the user and password in {self.credentials} ({said.code})",
            f"check them, or have an administrator type: {acl_rule(self.address.user or 'opscheck', ['ping', 'info'])}",
            target_down=True,
        )

    def _raise_if_denied(self, said: Said, command: str) -> None:
        user = self.address.user or "default"
        if said.code == "NOPERM":
            text = f"{self.address} does not let the user {user} run {typed(command)}"
            raise ProbeError(ProblemKind.DENIED, text, f"have an administrator type: ACL SETUSER {user} +{command}")
        if said.code == "NOAUTH":
            text = f"{self.address} wants a password, and {self.credentials} has none"
            rule = acl_rule("opscheck", ["ping", "info"])
            advice = f"write redis://opscheck:password@host; an administrator makes that user with: {rule}"
            raise ProbeError(ProblemKind.DENIED, text, advice, target_down=True)
        if said.code == "DENIED":
            text = f"{self.address} is in protected mode, which lets nobody in from other machines"
            advice = "give its default user a password, or connect from the machine it runs on"
            raise ProbeError(ProblemKind.DENIED, text, advice, target_down=True)
