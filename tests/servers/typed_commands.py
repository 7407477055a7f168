"""Commands of remedies, typed into a shell as a person would copy them from a report."""

import os
import pkgutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from opscheck import Remedy
from opscheck.core.expectation import Expectation
from opscheck.core.redaction import Secrets
from opscheck.core.remedy import fact_text
from opscheck.core.system import System
from opscheck.core.templates import render

_TIMED_OUT = 124  # of `timeout`


def expectations_of(system: System) -> list[type[Expectation]]:
    """The expectations of a system, one per check."""
    return [pkgutil.resolve_name(path) for path in system.expectations.values()]


def declared_commands(kinds: Iterable[type[Expectation]]) -> list[str]:
    """Every command that their remedies may print, each once."""
    remedies: Iterable[Remedy] = (remedy for kind in kinds for remedy in kind.remedies)
    return list(dict.fromkeys(command for remedy in remedies for command in remedy.commands))


def typed(  # noqa: PLR0913 - the shell it is typed into, by name
    command: str,
    facts: Mapping[str, object],
    variables: Mapping[str, str],
    *,
    path: str = "",
    typed_in: str = "",
    seconds_at_a_terminal: float = 0,
    interpreter: str = "sh",
    folder: Path | None = None,
) -> str:
    """
    The output of a rendered command. Values of `variables` are secrets, printed as `${NAME}`.

    An endless one is ended after some seconds at a terminal. Raises AssertionError when it fails, or prints a secret.
    """
    secrets = Secrets()
    for name, value in variables.items():
        secrets.add(value, f"${{{name}}}")
    printed = render(command, {name: fact_text(value) for name, value in facts.items()}, secrets)
    assert printed is not None, command
    assert not [name for name, value in variables.items() if value in printed]
    arguments = [interpreter, "-c", printed]
    if seconds_at_a_terminal:
        arguments = ["timeout", f"{seconds_at_a_terminal}", "script", "-qfec", printed, "/dev/null"]
    environment = {**variables, "PATH": f"{path}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")}
    ran = subprocess.run(
        arguments,
        env=environment,
        cwd=folder,
        input=typed_in,
        start_new_session=True,  # without a terminal, so that a prompt reads `typed_in`
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    expected = _TIMED_OUT if seconds_at_a_terminal else 0
    assert ran.returncode == expected, f"{printed}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout
