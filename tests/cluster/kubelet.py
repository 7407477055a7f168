"""The one thing that an API server asks a kubelet for in these tests: what a container logged."""

import ssl
from datetime import UTC, datetime

import trustme

from opscheck.demo.closing import Closing
from opscheck.demo.serving import Exchange, LoopbackServer, Response, Tls


class Kubelet(Closing):
    """Serves the same few lines, written just now, as the log of every container."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self._server = LoopbackServer(self._answer, tls=Tls(context, authority.cert_pem.bytes()))

    @property
    def asked(self) -> tuple[str, ...]:
        """The paths that the API server asked for: `/containerLogs/shop/web-1/app`."""
        return tuple(request.path for request in self._server.requests)

    def close(self) -> None:
        """Stop. May be called twice."""
        self._server.close()

    def node_status(self) -> dict[str, object]:
        """What leads the API server here, in the status of a node."""
        address = {"type": "InternalIP", "address": "127.0.0.1"}
        return {"addresses": [address], "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.port}}}

    def _answer(self, exchange: Exchange) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        text = "".join(f"{now} {line}\n" for line in self._lines)
        exchange.send(Response(body=text.encode(), content_type="text/plain", chunked=True))
