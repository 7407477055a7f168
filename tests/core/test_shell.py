"""Where a value may stand in a shell command, and that no value ever runs there."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opscheck.core.shell import Place, place_after
from opscheck.core.templates import render
from tests.property_tests import examples

SHELLS = [shell for shell in ("sh", "dash", "bash", "zsh") if shutil.which(shell)]


@pytest.mark.parametrize(
    "before",
    [
        'echo "a $HOME ${HOME} \\" b ',
        "echo 'a \" \\",
        "echo a#'",
        "echo # don't ",
        "echo # don't\necho ",
        "echo # it\\ is ",
        "echo ;# don't\necho 'a ",
        "echo $(cat ",
        'echo "`cat ',
        'echo "$(date)" ',
        "echo ${HOME:-",
        "echo $'",
        "echo $[ 1 + ",
        "(( 1 + ",
        "cat <<EOF\n",
        "cat <<EOF\n$(",
        "\\",
        "`",
        "psql -c '",
        "psql -c \"select '",
        "echo 'a",
    ],
)
def test_place_inside_or_behind_quotes_is_refused(before):
    assert "inside or after quotes" in place_after(before).fault


@pytest.mark.parametrize(
    "before",
    [
        "echo ",
        "echo 'a' ",
        "echo '$(a)' ",
        'echo "a $HOME ${HOME} $ \\" \\$(a) b" ',
        "echo # a\necho ",
        "echo a#b ",
        "cat <<<",
        "cat < ",
        "a | b ",
        "LANG=",
        "sudo -n reboot ",
        "kubectl exec ",
        "kubectl exec web-1 -- cat ",
        "sh -c 'cat \"$1\"' _ ",
        "psql -c 'select 1' -v name=",
        "rm -- ",
        "ssh ",
        "ssh -4 ",
        "grep -c ",
        "awk ",
        "# ",
        "psql -c resume # all of ",
        "echo ${NAME}",
        "echo a\\\\",
        "echo \\\n",
        """kubectl patch pvc web -p '{"storage":"'""",
    ],
)
def test_place_of_an_argument_is_accepted(before):
    assert place_after(before).fault is None


def test_place_has_its_simple_command_and_its_word():
    place = place_after('cd /tmp && LANG=C rm -f "a b" pre')

    assert place == Place(word="pre", words=("LANG=C", "rm", "-f", "a b"))


@pytest.mark.parametrize(
    "before",
    [
        "",
        "a | ",
        "a && ",
        "a\n",
        "LANG=C ",
        "PATH=/usr/bin ",
        "sudo -n ",
        "cat <(",
        "./",
        "kubectl exec p -- ",
        "sh -c ",
        "psql -c ",
        "find / -exec ",
        "ssh -p 22 db1 ",
        "eval ",
        "/usr/bin/env ",
        "\\command ",
        "$PREFIX ",
        "2>/dev/null ",
        "if ",
        "echo a # all of this; ",
    ],
)
def test_place_of_a_command_is_refused(before):
    assert "would be the program that runs" in place_after(before).fault


@pytest.mark.parametrize(
    "before",
    [
        "psql --command=",
        "psql -c'select '",
        "mysql --execute=",
        "eval echo ",
        "ssh db1 df ",
        "ssh -o ",
        "sh -c 'ssh db1 \"$1\"' _ ",
        "[[ 1 -eq ",
        "let ",
        "unset ",
    ],
)
def test_place_inside_a_program_text_is_refused(before):
    assert "program text" in place_after(before).fault


@pytest.mark.parametrize("before", ["echo $", "echo $NAME"])
def test_place_that_touches_a_variable_is_refused(before):
    assert "both are one word to the shell" in place_after(before).fault


@pytest.fixture(name="jail", scope="module")
def _jail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `bin` of harmless commands and `attack`, which leaves a file behind."""
    jail = tmp_path_factory.mktemp("jail")
    for name, text in {"attack": f": > {jail}/attacked", "echo": "", "sudo": "", "kubectl": ""}.items():
        script = jail / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    return jail


FRAGMENTS = ['"', "'", "\\", "$", "(", ")", "`", "#", " ", ";", "{", "}", "|", "&", "\n", "!", "=", "<", "*", "["]
FRAGMENTS += [
    "echo ",
    "echo '",
    'echo "',
    "sudo ",
    "kubectl ",
    "sh -c '",
    "eval ",
    "<<E\n",
    "E\n",
    "<<<",
    "X=",
    "((",
    "[[ ",
    "# ",
    "$HOME",
]
FRAGMENTS += ["${HOME}", "${HOME:-", "$((", "$'", "if ", "then ", "do ", "for i in ", "case x in x)"]

ATTACKS = ["attack", "$(attack)", "`attack`", ";attack;", "'\"$(attack)", "';attack;'", '";attack;"', "|attack"]
ATTACKS += ["&attack&", "\nattack\n", ")attack;(", "))`attack`", "\\`attack`", "}attack", "a[$(attack)]", "#\nattack"]
ATTACKS += ["\\$(attack)", "$'attack'", "\\", "E\nattack"]


@pytest.mark.parametrize("shell", SHELLS)
@given(
    before=st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join),
    after=st.lists(st.sampled_from(FRAGMENTS), max_size=4).map("".join),
    value=st.sampled_from(ATTACKS),
)
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_value_never_runs_whatever_the_template(shell, jail, before, after, value):
    command = render(f"{before}{{{{ x }}}}{after}", {"x": value})
    if command is None:
        return
    (jail / "attacked").unlink(missing_ok=True)  # of another example, or the smallest one that fails is a wrong one

    subprocess.run(
        [shutil.which(shell), "-c", command],
        cwd=jail,
        env={"PATH": str(jail / "bin"), "HOME": "/nowhere"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=10,
        check=False,
    )

    assert not (jail / "attacked").exists(), command
