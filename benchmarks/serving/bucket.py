"""
A bucket of an S3 server, which can list its objects and nothing else: `python bucket.py 100000 0.02`.

The arguments are the number of backups, one per minute in folders by day, and the delay of each answer in seconds.
The command `requests` returns the number of requests since the previous one.
"""

import socketserver
import sys
import threading
import time
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, urlsplit

from control import attend

_PAGE = 1000
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
_OBJECT = (
    '<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>"0123456789abcdef0123456789abcdef"</ETag>'
    "<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


class Objects:
    """The content of the bucket, and the number of requests."""

    def __init__(self, count: int) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        times = [now - timedelta(minutes=ago) for ago in range(count)]
        self._found = sorted((f"{at:backups/%Y/%m/%d/wal-%Y%m%d-%H%M%S.gz}", at) for at in times)
        self._keys = [key for key, _ in self._found]
        self._requests = 0

    def page(self, prefix: str, after: str, most: int) -> bytes:
        """The objects after that key, as S3 writes them."""
        self._requests += 1
        first = bisect_right(self._keys, after)
        page = [one for one in self._found[first : first + most] if one[0].startswith(prefix)]
        more = first + most < len(self._found) and len(page) == most
        token = f"<NextContinuationToken>{quote(page[-1][0])}</NextContinuationToken>" if more else ""
        objects = "".join(
            _OBJECT.format(key=quote(key), modified=f"{at:%Y-%m-%dT%H:%M:%S.000Z}", size=5000) for key, at in page
        )
        end = f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated></ListBucketResult>"
        about = f"<Name>backups</Name><Prefix>{quote(prefix)}</Prefix><EncodingType>url</EncodingType>"
        return f"{_HEAD}{about}{objects}{token}{end}".encode()

    def requests(self) -> int:
        """The number of requests since the last call."""
        count, self._requests = self._requests, 0
        return count


def _handler(objects: Objects, delay_s: float) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            after = asked.get("continuation-token", asked.get("start-after", ""))
            body = objects.page(asked.get("prefix", ""), after, int(asked.get("max-keys", _PAGE)))
            time.sleep(delay_s)
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main(count: int, delay_s: float) -> None:
    """Serve in threads until the benchmark lets go."""
    objects = Objects(count)
    server = _Server(("127.0.0.1", 0), _handler(objects, delay_s))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    attend({"url": f"http://127.0.0.1:{server.server_address[1]}"}, {"requests": objects.requests})


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
