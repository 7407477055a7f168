"""Sessions with HTTP APIs: one pool of connections per target, shared by all threads; every wait has a deadline."""

import ssl
import time
from typing import Any

import httpcore
from msgspec.structs import replace

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import format_duration
from opscheck.systems.http.probe.connections import Connections, RequestClock
from opscheck.systems.http.probe.content import UnreadableBodyError, as_text, read_body, readable_headers
from opscheck.systems.http.probe.url import OWN_HEADERS, Url, target_headers
from opscheck.systems.http.request import HttpAnswer, HttpRequest, Sample
from opscheck.systems.http.target import HttpTarget
from opscheck.transport.connect import GRACE_S, dial, late, secure, trust, unreachable

_MOST_REDIRECTS = 10
_REDIRECTS = {301, 302, 303, 307, 308}
_SHOWN = 200
# Share of the time limit, so that a partial result is returned before the engine cancels the query.
_ANSWER_BY = 0.95

_HUNG_UP = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError)
_TLS_ALERT = r"\x15\x03"  # as it shows in h11's text


def open_session(target: HttpTarget, timeout_s: float) -> "HttpSession":
    """Connect to the API's host once, with TLS for https. Raises ProbeError."""
    base = Url.of_base_url(target.base_url.get_secret_value())
    context = trust(target.ca_file, target.client_certificate) if base.scheme == "https" else None
    session = HttpSession(target, base)
    deadline = time.monotonic() + timeout_s + GRACE_S
    try:
        connection = dial(base.host, base.port, deadline)
        if context is not None:
            connection = secure(connection, context, base.host, deadline)
    except TimeoutError as error:
        raise late(f"no connection to {base} in {format_duration(timeout_s)}", timeout_s, target_down=True) from error
    except OSError as error:
        raise unreachable(error, str(base)) from error
    connection.close()
    return session


class HttpSession:
    """One HTTP API for the length of a run."""

    def __init__(self, target: HttpTarget, base: Url) -> None:
        self._target = target
        self._base = base
        self._headers = target_headers(target, base)
        self._clock = RequestClock()
        self._connections = Connections(self._clock, self._context_of)

    def ask(self, query: Query[Any], timeout_s: float) -> HttpAnswer:
        """Send the request, once per sample. Raises ProbeError."""
        if not isinstance(query, HttpRequest):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"the HTTP probe does not answer {query.name}")
        started = time.monotonic()
        answer_by = started + timeout_s * _ANSWER_BY
        answer = self._fetch(query, started + timeout_s + GRACE_S, answer_by)
        (first,) = answer.samples
        return replace(answer, samples=(first, *self._further_samples(query, first, answer_by)))

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def _context_of(self, origin: httpcore.Origin) -> ssl.SSLContext:
        """The TLS settings of an origin; only the target's own gets the client certificate, a credential too."""
        base = self._base
        own = origin == httpcore.Origin(base.scheme.encode(), base.host.encode(), base.port)
        return trust(self._target.ca_file, self._target.client_certificate if own else None)

    def _further_samples(self, query: HttpRequest, first: Sample, answer_by: float) -> list[Sample]:
        samples: list[Sample] = []
        slowest = first.seconds
        while len(samples) < query.samples - 1 and time.monotonic() < answer_by:
            started = time.monotonic()
            try:
                (sample,) = self._fetch(query, answer_by, answer_by).samples
            except ProbeError as error:
                waited = time.monotonic() - started
                if error.problem.kind is ProblemKind.LATE and waited < 2 * slowest:
                    break  # ended by the deadline, in no more time than an earlier one took: proves nothing
                sample = Sample(seconds=waited, cold=self._clock.dialled, error=error.problem.text)
            slowest = max(slowest, sample.seconds)
            samples.append(sample)
        return samples

    def _fetch(self, query: HttpRequest, deadline: float, body_by: float) -> HttpAnswer:
        """One request, and those after redirects. Raises ProbeError."""
        started = time.monotonic()
        url = self._base.below(query.path)
        urls = [url.readable]
        while True:
            self._clock.deadline = deadline
            answer, redirect = self._exchange(query, url, started, body_by)
            if redirect is None or not query.follow_redirects:
                (sample,) = answer.samples
                sample = replace(sample, seconds=time.monotonic() - started)
                return replace(answer, url=urls[0], redirects=tuple(urls[1:]), samples=(sample,))
            if len(urls) > _MOST_REDIRECTS:
                raise ProbeError(ProblemKind.UNREADABLE, f"{urls[0]} redirects more than {_MOST_REDIRECTS} times")
            url = redirect
            urls.append(url.readable)

    def _exchange(self, query: HttpRequest, url: Url, started: float, body_by: float) -> tuple[HttpAnswer, Url | None]:
        """One request, its response, and the URL of a redirect. Raises ProbeError."""
        so_far = f"no response from {url.readable}"
        try:
            with self._connections.answer_to(self._request(query, url)) as response:
                so_far = f"{url.readable} responded {response.status}, but its body did not end"
                self._clock.deadline = min(self._clock.deadline, body_by)
                return self._read(response, query, url), _redirect(response, url)
        except TimeoutError as error:
            waited = time.monotonic() - started
            raise late(f"{so_far} in {format_duration(waited)}", waited) from error
        except (httpcore.ProtocolError, OSError) as error:
            raise self._failure(error, url) from error

    def _read(self, response: httpcore.Response, query: HttpRequest, url: Url) -> HttpAnswer:
        """The complete response. Raises ProbeError, httpcore's errors, and OSError."""
        headers = readable_headers(response.headers)
        try:
            body, truncated = read_body(response.iter_stream(), headers.get("content-encoding", ""), query.max_body)
        except UnreadableBodyError as error:
            text = f"{url.readable} responded {response.status}, but {error}"
            raise ProbeError(ProblemKind.UNREADABLE, text) from error
        return HttpAnswer(
            url=url.readable,
            final_url=url.readable,
            status=response.status,
            http_version=response.extensions["http_version"].decode("latin-1"),
            headers=headers,
            body=as_text(body, headers),
            size=len(body),
            truncated=truncated,
            samples=(Sample(seconds=0, status=response.status, cold=self._clock.dialled),),
        )

    def _request(self, query: HttpRequest, url: Url) -> httpcore.Request:
        # Headers of this target and of the query are never sent to another origin.
        own = url.origin == self._base.origin
        return url.request(query.method, self._headers | dict(query.headers) if own else OWN_HEADERS)

    def _failure(self, error: Exception, url: Url) -> ProbeError:
        """The error of a request without a complete response."""
        if isinstance(error, httpcore.LocalProtocolError):
            # Without its text, which would quote a header with a secret.
            return ProbeError(ProblemKind.UNSUPPORTED, f"the request for {url.readable} is not valid HTTP")
        if isinstance(error, OSError) and not isinstance(error, _HUNG_UP):
            return unreachable(error, str(url), target_down=url.origin == self._base.origin)
        if not self._clock.received:
            text = f"{url} closed the connection without a response to {url.readable}"
            advice = "see the application's log; a proxy or firewall can close connections too"
            return ProbeError(ProblemKind.UNREACHABLE, text, advice)
        advice = "does it require https://?" if _TLS_ALERT in str(error) else ""
        # Its text quotes up to 100 kB of received bytes.
        text = f"{url.readable} sent an invalid HTTP response: {str(error)[:_SHOWN]}"
        return ProbeError(ProblemKind.UNREADABLE, text, advice)


def _redirect(response: httpcore.Response, url: Url) -> Url | None:
    """The URL of a redirect; None without one, or with one to another scheme."""
    if response.status not in _REDIRECTS:
        return None
    location = next((value for name, value in response.headers if name.lower() == b"location"), None)
    try:
        return None if location is None else url.joined(location.decode("utf-8", "replace"))
    except ValueError:
        return None
