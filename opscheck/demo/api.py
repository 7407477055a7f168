"""The application's HTTPS API: the endpoints that daily.yaml requests."""

import json
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

from opscheck.demo.closing import Closing
from opscheck.demo.credentials import token as new_token
from opscheck.demo.serving import Exchange, LoopbackServer, Request, Response, Tls


@dataclass(frozen=True)
class SystemMetrics:
    """`system_metrics` in the answer of `/v1/metrics`. The error rate is a share, the response time in ms."""

    active_workflows: int = 42
    queue_depth: int = 7
    error_rate: float = 0.002
    average_response_time: float = 183.0


@dataclass(frozen=True)
class Health:
    """The answer of `/v1/health`: an HTTP status, and the `status` in its body."""

    code: int = 200
    status: str = "ok"


class DemoApi(Closing):
    """
    The API, from its creation until `close`. Every path requires the bearer token.

    `say` and `measure` change its state; the next answer shows it.
    """

    def __init__(self, *, token: str | None = None, tls: Tls | None = None) -> None:
        self.token = token or new_token()
        self._lock = threading.Lock()
        self._health = Health()
        self._metrics = SystemMetrics()
        self._server = LoopbackServer(self._answer, tls=tls)

    @property
    def url(self) -> str:
        """Its base URL, without a slash at the end."""
        return self._server.url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far."""
        return self._server.requests

    @property
    def health(self) -> Health:
        """The health that it reports."""
        with self._lock:
            return self._health

    def say(self, code: int, status: str) -> None:
        """Change the health that it reports."""
        with self._lock:
            self._health = Health(code, status)

    @property
    def metrics(self) -> SystemMetrics:
        """The metrics that it reports."""
        with self._lock:
            return self._metrics

    def measure(self, **changes: float) -> None:
        """Change some metrics by name, such as `active_workflows=5000`."""
        with self._lock:
            self._metrics = replace(self._metrics, **changes)  # type: ignore[arg-type]  # fields are int or float

    def close(self) -> None:
        """Stop. May be called twice."""
        self._server.close()

    def _answer(self, exchange: Exchange) -> None:
        exchange.send(self._respond(exchange.request))

    def _respond(self, request: Request) -> Response:
        if request.token != self.token:
            return _json({"error": "unauthorized"}, 401, **{"WWW-Authenticate": "Bearer"})
        if request.method not in {"GET", "HEAD"}:
            return _json({"error": "method not allowed"}, 405, Allow="GET, HEAD")
        match request.path:
            case "/v1/health":
                return _json({"status": self.health.status}, self.health.code)
            case "/v1/metrics":
                return _json({"system_metrics": asdict(self.metrics)})
            case "/v1/orchestration/workflows":
                return _json({"workflows": self._workflows(request.query.get("status"))})
        return _json({"error": "not found"}, 404)

    def _workflows(self, status: str | None) -> list[dict[str, str]]:
        running = self.metrics.active_workflows
        listed = [{"id": f"wf-{number:05d}", "status": "running"} for number in range(int(running))]
        done = [{"id": "wf-done-00001", "status": "completed"}]
        return [workflow for workflow in listed + done if status in {None, workflow["status"]}]


def _json(body: dict[str, Any], code: int = 200, **headers: str) -> Response:
    return Response(code, json.dumps(body).encode(), headers=headers)
