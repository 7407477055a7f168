"""
Draw README's picture: what `opscheck run` shows on a terminal when the demo's system is broken.

    make picture
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from opscheck.bundle import bundled
from opscheck.demo.environment import Environment

WIDTH = 110
FAULTS = ("cache", "certificate")
# The reader's own fonts: a picture in a README loads nothing from anywhere.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def shown() -> str:
    """The coloured output of a run on a system with a few faults, on which a drill was done before."""
    with Environment(print) as environment, TemporaryDirectory() as folder:
        variables = {**os.environ, **environment.variables, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
        state = ["--state", str(Path(folder) / "state.db")]
        _opscheck(["-p", "policies/recovery.yaml", "--drill", *state], variables)
        for fault in FAULTS:
            environment.break_(fault)
        return _opscheck(["-p", "policies/daily.yaml", *state], variables)


def _opscheck(words: list[str], variables: dict[str, str]) -> str:
    command = [sys.executable, "-m", "opscheck", "run", *words]
    folder = bundled("policies").parent
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False).stdout


def main() -> None:
    """Write docs/terminal.svg."""
    console = Console(record=True, width=WIDTH, file=Path(os.devnull).open("w"))  # noqa: SIM115 - for all of this run
    console.print(Text.from_ansi(shown().strip()))
    picture = console.export_svg(title="opscheck run -p policies/daily.yaml", code_format=FORMAT)
    Path(__file__).with_name("terminal.svg").write_text(picture)


if __name__ == "__main__":
    main()
