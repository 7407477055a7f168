"""Definitions are fetched once, only on request, and only as they were when they were chosen. Go is a script here."""

import json
import stat

import pytest

from tests.cluster import building
from tests.cluster.crds import Published, definitions
from tests.servers.cache import NotThere

PUBLISHED = Published("example.com/queues", "v1.0.0", "h1:right", "crds")
DEFINITION = "kind: CustomResourceDefinition\nmetadata: {name: queues.example.com}\nstatus: {conditions: []}\n"
_GO = '#!/bin/sh\necho "$@" >> "$ASKED"\ncat "$ANSWER"\n'


@pytest.fixture(name="go", autouse=True)
def _go(tmp_path, monkeypatch):
    """A machine whose Go answers what the test says, and knows what it was asked."""
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    program.write_text(_GO)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setenv("ANSWER", str(tmp_path / "answer"))
    monkeypatch.setenv(building.REQUIRED, "1")
    crds = tmp_path / "module" / "crds"
    crds.mkdir(parents=True)
    (crds / "queues.yaml").write_text(DEFINITION)
    answers(tmp_path, Sum="h1:right")
    definitions.cache_clear()
    yield tmp_path
    definitions.cache_clear()


def answers(machine, **told):
    (machine / "answer").write_text(json.dumps({"Dir": str(machine / "module"), **told}))


def asked(machine) -> list[str]:
    path = machine / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_definitions_are_fetched_once_and_kept_without_status(go):
    first = definitions(PUBLISHED)
    definitions.cache_clear()
    second = definitions(PUBLISHED)

    expected = {"kind": "CustomResourceDefinition", "metadata": {"name": "queues.example.com"}}
    assert (expected,) == first == second
    assert ["mod download -json example.com/queues@v1.0.0"] == asked(go)


def test_changed_module_is_refused(go):
    answers(go, Sum="h1:other")

    with pytest.raises(NotThere, match="is not what it was when it was chosen: h1:other"):
        definitions(PUBLISHED)


def test_error_of_go_is_reported(go):
    answers(go, Error="no such version")

    with pytest.raises(NotThere, match=r"queues@v1\.0\.0 cannot be fetched: no such version"):
        definitions(PUBLISHED)


def test_module_without_definitions_is_an_error(go):
    (go / "module" / "crds" / "queues.yaml").unlink()

    with pytest.raises(NotThere, match="has no definitions in crds"):
        definitions(PUBLISHED)


def test_nothing_is_fetched_without_the_variable(go, monkeypatch):
    monkeypatch.delenv(building.REQUIRED)

    with pytest.raises(NotThere, match="were not fetched yet: `make cluster` does, once"):
        definitions(PUBLISHED)
    assert [] == asked(go)
