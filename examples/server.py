"""
A queue to try the example with: an HTTP API that counts jobs which do not exist.

    python examples/server.py --waiting 250
"""

import argparse
import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main() -> None:
    """Serve until Ctrl-C."""
    options = _options()
    oldest = datetime.now(UTC) - timedelta(minutes=20) if options.waiting else None
    queue = {
        "waiting": options.waiting,
        "workers": options.workers,
        "oldest": oldest and oldest.isoformat(timespec="seconds"),
    }
    with ThreadingHTTPServer(("127.0.0.1", options.port), _handler({"/queues/emails": queue})) as server:
        print(f"export JOBS_URL=http://127.0.0.1:{server.server_address[1]}", flush=True)  # noqa: T201 - to be copied
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An API that counts jobs which do not exist. Ends with Ctrl-C.")
    parser.add_argument("--waiting", type=int, default=12, help="how many jobs wait in the queue `emails`")
    parser.add_argument("--workers", type=int, default=4, help="how many workers take jobs from it")
    parser.add_argument("--port", type=int, default=0, help="any free one by default")
    return parser.parse_args()


def _handler(documents: dict[str, object]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            document = documents.get(self.path)
            body = json.dumps(document).encode()
            self.send_response(200 if document else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's own name
            """Say nothing."""

    return Handler


if __name__ == "__main__":
    main()
