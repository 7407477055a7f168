"""A real Prometheus that scrapes a small exporter, which reports volumes as kubelets do."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from opscheck.demo.closing import Closing
from opscheck.demo.serving import Exchange, LoopbackServer, Response
from opscheck.transport.processes import ServerFailed, ServerProcess, folder, free_port

USER, PASSWORD = "opscheck", "geheim-4711"
_HASH = "$2b$04$3xqeSSmLpFk8rEBHyXlNGeK03FsTnP4p0qKq4Z4mesyXx8YWqOGa."  # of PASSWORD
_ATTEMPTS = 3


class Exporter(Closing):
    """Serves metrics on loopback: `series["name{labels}"] = value`, or `(value, milliseconds)` for one of that time."""

    def __init__(self, series: Mapping[str, float | tuple[float, int]] | None = None) -> None:
        self.series = dict(series or {})
        self._server = LoopbackServer(self._answer)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.port}"

    def close(self) -> None:
        """Stop. May be called twice."""
        self._server.close()

    def _answer(self, exchange: Exchange) -> None:
        lines = (f"{name} {_written(value)}\n" for name, value in self.series.items())
        exchange.send(Response(body="".join(lines).encode(), content_type="text/plain; version=0.0.4"))


def _written(value: float | tuple[float, int]) -> str:
    return " ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


class Prometheus(Closing):
    """
    Scrapes an exporter five times a second, until it is closed.

    lookback: how old a sample may be that a selector finds. password: ask for USER and PASSWORD.
    """

    def __init__(self, program: Path, exporter: Exporter, *, lookback: str = "5m", password: bool = False) -> None:
        self._folder = folder()
        self._program = program
        self._exporter = exporter
        self._lookback = lookback
        self._password = password
        self._process: ServerProcess | None = None
        self._start_somewhere()

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://{self.place}"

    def close(self) -> None:
        """Stop, and delete its folder. May be called twice."""
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def wait_for(self, expression: str) -> None:
        """Wait until the expression has a result."""
        assert self._process is not None
        self._process.wait_until(lambda: bool(self._evaluated(expression)))

    def _start_somewhere(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            try:
                self._start(Path(self._folder.name))
            except ServerFailed:
                self.close()
                if attempt == _ATTEMPTS:
                    raise
                self._folder = folder()
            else:
                return

    def _start(self, home: Path) -> None:
        kubelet = {
            "job_name": "kubelet",
            "honor_labels": True,
            "static_configs": [{"targets": [self._exporter.address]}],
        }
        config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": [kubelet]}
        (home / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        web = {"basic_auth_users": {USER: _HASH}} if self._password else {}
        (home / "web.yml").write_text(json.dumps(web))
        command = [
            self._program,
            f"--config.file={home / 'prometheus.yml'}",
            f"--web.config.file={home / 'web.yml'}",
            f"--web.listen-address={self.place}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--query.lookback-delta={self._lookback}",
        ]
        self._process = ServerProcess("prometheus", command, home / "log")
        self._process.wait_until(lambda: bool(self._evaluated("vector(1)")))

    def _evaluated(self, expression: str) -> list[Any]:
        who = (USER, PASSWORD) if self._password else None
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, auth=who, timeout=2)
            result: list[Any] = answer.json()["data"]["result"] if answer.is_success else []
            return result
        return []
