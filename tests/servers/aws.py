"""The AWS command line, which a test types commands of remedies for."""

import sys
from pathlib import Path

import pytest

from tests.servers.cache import NotThere, cached, fingerprint, last_line, make_once
from tests.servers.fetching import FETCHING_TAKES_AT_MOST, cannot, may_fetch, run

_PACKAGES = (
    "awscli==1.46.3",
    "colorama==0.4.6",
    "docutils==0.19",
    "jmespath==1.1.0",
    "pyasn1==0.6.1",
    "python-dateutil==2.9.0.post0",
    "PyYAML==6.0.3",
    "rsa==4.7.2",
    "six==1.17.0",
    "urllib3==2.8.0",
)
"""Apart from opscheck's own packages: awscli needs an older docutils than the documentation."""


@pytest.fixture(scope="session")
def aws_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program `aws`, in a folder of its own. The test is skipped, or fails where it must not be, without it."""
    try:
        packages = _find()
    except NotThere as why:
        return cannot(str(why))
    program = tmp_path_factory.mktemp("aws") / "aws"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} -m awscli "$@"\n')
    program.chmod(0o755)
    return program


def _find() -> Path:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = cached(fingerprint(python.encode(), *(package.encode() for package in _PACKAGES)))
    if not place.is_dir():
        may_fetch("the AWS command line")
        make_once(place, _fetch, FETCHING_TAKES_AT_MOST)
    return place


def _fetch(place: Path, within: float) -> None:
    words = ("install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", str(place), *_PACKAGES)
    done = run((sys.executable, "-m", "pip", *words), place.parent, within)
    if done.returncode:
        raise NotThere(f"the AWS command line cannot be fetched: {last_line(done.stderr or done.stdout)}")
