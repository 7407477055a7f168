"""Where a value stands in a shell command, and that no value ever runs there."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opscheck.guidance.shell import Place, Quotes, place_after
from opscheck.guidance.templates import render
from tests.property_tests import examples

SHELLS = [shell for shell in ("sh", "dash", "bash", "zsh") if shutil.which(shell)]


@pytest.mark.parametrize(
    ("before", "quotes"),
    [
        ("echo ", Quotes.NONE),
        ("echo 'a' ", Quotes.NONE),
        ('echo "a $HOME ${HOME} \\" b ', Quotes.DOUBLE),
        ("echo 'a \" \\", Quotes.SINGLE),
        ("echo a#'", Quotes.SINGLE),
        ("echo # don't\necho ", Quotes.NONE),
        ("echo $(cat ", Quotes.NESTED),
        ('echo "`cat ', Quotes.NESTED),
        ("echo ${HOME:-", Quotes.NESTED),
        ("echo $'", Quotes.NESTED),
        ("cat <<EOF\n", Quotes.NESTED),
        ("cat <<<", Quotes.NONE),
    ],
)
def test_the_quotes_around_a_place_are_told_from_the_text_before_it(before, quotes):
    assert quotes is place_after(before).quotes


def test_a_place_knows_its_simple_command_and_its_word():
    place = place_after('cd /tmp && LANG=C rm -f "a b" pre"')

    assert Place(quotes=Quotes.DOUBLE, word='pre"', words=("LANG=C", "rm", "-f", "a b")) == place


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
        "echo $(",
        "`",
        "./",
        "kubectl exec p -- ",
        "sh -c ",
        "psql -c '",
        "find / -exec ",
        "ssh -p 22 db1 ",
        "eval ",
        "/usr/bin/env ",
        "\\command ",
        "$PREFIX ",
        "2>/dev/null ",
        "if ",
        "cat <<EOF\n$(",
    ],
)
def test_a_place_where_the_value_would_be_the_command_is_known(before):
    assert place_after(before).is_run


@pytest.mark.parametrize(
    "before",
    [
        "echo ",
        "a | b ",
        "LANG=",
        "sudo -n reboot ",
        "echo $(cat ",
        "kubectl exec ",
        "sh -c 'echo ",
        "rm -- ",
        "ssh ",
        "ssh db1 df ",
        "grep -c ",
        "cat <<EOF\n",
        "# ",
    ],
)
def test_a_place_where_the_value_is_an_argument_is_known(before):
    assert not place_after(before).is_run


@pytest.mark.parametrize("before", ["echo $", "echo $NAME", 'echo "$', "echo \\", 'echo "\\', "echo a\\\\\\"])
def test_a_place_that_a_dollar_or_a_backslash_touches_is_known(before):
    assert place_after(before).joined


@pytest.mark.parametrize("before", ["echo ", "echo ${NAME}", "echo '$", "echo '\\", "echo a\\\\", "echo \\\n"])
def test_a_place_that_stands_apart_is_known(before):
    assert not place_after(before).joined


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
def test_whatever_the_template_a_value_never_runs(shell, jail, before, after, value):
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
