"""A second S3 server: `rclone serve s3` over a folder, from its Python package, so that not only moto is believed."""

import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import boto3

from opscheck.demo.closing import Closing
from opscheck.transport.processes import ServerProcess, accepts, folder, free_port

_STARTING_TAKES_AT_MOST = 60.0


def rclone_program() -> str | None:
    """Where the program is, None where the package is not installed."""
    beside = Path(sys.executable).with_name("rclone")
    return str(beside) if beside.exists() else shutil.which("rclone")


class Rclone(Closing):
    """An S3 server on 127.0.0.1 and a free port, gone after `close`. Each folder of `root` is a bucket."""

    def __init__(self) -> None:
        self.access_key, self.secret_key = "AKIARCLONE", secrets.token_hex(16)
        self._folder = folder()
        self.root = Path(self._folder.name) / "buckets"
        self.root.mkdir()
        self.port = free_port()
        try:
            self._process = ServerProcess("rclone", self._command(), Path(self._folder.name) / "log")
            self._process.wait_until(lambda: accepts(self.port), within=_STARTING_TAKES_AT_MOST)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> Mapping[str, str]:
        """What an AWS client reads from the environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def close(self) -> None:
        """Stop the server and delete its folder. May be called twice."""
        if (process := getattr(self, "_process", None)) is not None:
            process.stop()
        self._folder.cleanup()

    def _command(self) -> list[str]:
        keys = f"{self.access_key},{self.secret_key}"
        where = ["--addr", f"127.0.0.1:{self.port}", "--config", "/dev/null"]
        seen = ["--dir-cache-time", "0s", "--vfs-cache-mode", "off"]
        return [rclone_program() or "rclone", "serve", "s3", str(self.root), "--auth-key", keys, *where, *seen]


def client_of(variables: Mapping[str, str]):
    """A client that is not the probe's."""
    return boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )
