"""
moto's server, where a client may set the modification time of an object.

    python -m opscheck.demo.s3_server PORT

In S3 the modification time is the time of the upload, so that a week of backups takes a week. Here a PUT with the
metadata `mtime`, in which rclone keeps a file's time, sets LastModified. A copy has the time of the copy, as in S3.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import run_simple

_MTIME = "HTTP_X_AMZ_META_MTIME"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def dated(application: Application) -> Application:
    """The application, with LastModified from the metadata of each PUT."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = application(environ, start)
        if environ["REQUEST_METHOD"] == "PUT" and _MTIME in environ:
            _, bucket, key = environ["PATH_INFO"].split("/", 2)
            _date(bucket, key, datetime.fromtimestamp(float(environ[_MTIME]), UTC))
        return body

    return answer


def _date(bucket: str, key: str, moment: datetime) -> None:
    found = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(bucket)
    if found is not None and key in found.keys:
        found.keys[key].last_modified = moment.replace(tzinfo=None)  # moto's own are naive, in UTC


def main(port: int) -> None:
    """Serve until SIGTERM."""
    os.environ["MOTO_PORT"] = str(port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    application = dated(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main(int(sys.argv[1]))
