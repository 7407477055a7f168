"""An S3 server: moto, in a process of its own, because its buckets are global to a process."""

import base64
import hashlib
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from opscheck.demo.closing import Closing
from opscheck.demo.credentials import token
from opscheck.transport.processes import ServerFailed, ServerProcess, folder, free_port

BUCKET = "integration-deployment-backups"
REGION = "us-east-1"
_ATTEMPTS = 3
_STARTING_TAKES_AT_MOST = 60.0
_ANSWERING_TAKES_AT_MOST = 30.0
_REFUSED = 300
_WHAT_IT_SAYS = 500


class S3(Closing):
    """
    An S3 server on 127.0.0.1 and a free port, gone after `close`, with one empty bucket.

    It takes any credentials; these are random. Raises ServerFailed.
    """

    def __init__(self, bucket: str = BUCKET) -> None:
        self.bucket = bucket
        self.access_key, self.secret_key = "AKIADEMO", token()
        self._folder = folder()
        self._process: ServerProcess | None = None
        try:
            self._start_somewhere()
            self.put(bucket)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None when it does not run."""
        return self._process.pid if self._process and self._process.running else None

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables of an AWS client."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
        }

    def put(self, path: str, body: bytes = b"", *, modified: datetime | None = None) -> None:
        """
        Make a bucket (`name`), a setting of it (`name?versioning`) or an object (`name/key`).

        modified: the modification time of the object, by default now.
        """
        dated = {"x-amz-meta-mtime": f"{modified.timestamp():.3f}"} if modified else {}
        self._ask("PUT", path, body, {"Content-MD5": _md5(body), **dated})  # a bucket with object lock wants its sum

    def delete(self, path: str) -> None:
        """Delete an object (`name/key`)."""
        self._ask("DELETE", path)

    def close(self) -> None:
        """Stop the server and delete its folder. May be called twice."""
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def _start_somewhere(self) -> None:
        """Start on a free port. Another process may take it first: then try another port."""
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            command = [sys.executable, "-m", "opscheck.demo.s3_server", str(self.port)]
            self._process = ServerProcess("moto", command, Path(self._folder.name) / "log")
            try:
                self._process.wait_until(self._answers, within=_STARTING_TAKES_AT_MOST)
            except ServerFailed:
                self._process.stop()
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/moto-api/data.json")
            return connection.getresponse().status == 200  # noqa: PLR2004 -- OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        signed = {"Authorization": self._authorization(), **(headers or {})}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_ANSWERING_TAKES_AT_MOST)
        try:
            connection.request(method, f"/{path}", body, signed)
            answer = connection.getresponse()
            said = answer.read(_WHAT_IT_SAYS)
        except (OSError, HTTPException) as error:
            raise ServerFailed(f"the S3 server does not answer {method} /{path}: {error}") from error
        finally:
            connection.close()
        if answer.status >= _REFUSED:
            raise ServerFailed(f"the S3 server answered {answer.status} to {method} /{path}: {said.decode()}")

    def _authorization(self) -> str:
        """Moto reads the service from a signature's scope and does not verify the signature."""
        scope = f"{self.access_key}/{datetime.now(UTC):%Y%m%d}/{REGION}/s3/aws4_request"
        return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=unsigned"


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
