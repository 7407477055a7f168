"""The AWS command line, which a test types commands of remedies for."""

import sys
from pathlib import Path

import pytest

from tests.servers.cache import NotThere
from tests.servers.fetching import cannot, python_packages

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
        packages = python_packages("the AWS command line", _PACKAGES)
    except NotThere as why:
        return cannot(str(why))
    program = tmp_path_factory.mktemp("aws") / "aws"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} -m awscli "$@"\n')
    program.chmod(0o755)
    return program
