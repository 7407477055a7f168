"""What a manifest says, and what is told where it says nothing."""

import pytest

from opscheck.core.observation import ProblemKind
from opscheck.systems.stores.queries.manifest import ManifestValue, ReadManifest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("backup.start", "2026-03-01T02:00:00Z"),
        ("backup.bytes", 12),
        ("files[0].name", "a"),
        ("files[0].none", None),
        ("backup.good", True),
    ],
)
def test_the_value_at_a_path_is_told(store, path, value):
    store.put(
        "m.json", b'{"backup": {"start": "2026-03-01T02:00:00Z", "bytes": 12, "good": true}, "files": [{"name": "a"}]}'
    )

    assert ManifestValue(value=value) == store.ask(ReadManifest("target", "m.json", path))


def test_where_there_is_none_that_is_told(store):
    assert ManifestValue(there=False) == store.ask(ReadManifest("target", "m.json", "start"))


@pytest.mark.parametrize(
    ("content", "path", "text"),
    [
        (b"geheim", "start", "m.json is no JSON document"),
        (b"\xff\xfe", "start", "m.json is no JSON document"),
        (b'{"start": {"geheim": 1}}', "start", "start in m.json is no single value"),
        (b'{"start": "geheim"}', "sum(start)", "sum(start) cannot be asked of m.json"),
    ],
)
def test_what_is_no_answer_is_told_without_its_content(store, content, path, text):
    store.put("m.json", content)

    problem = store.ask(ReadManifest("target", "m.json", path))

    assert (ProblemKind.UNREADABLE, text) == (problem.kind, problem.text)


def test_a_long_text_is_cut(store):
    store.put("m.json", b'{"start": "%b"}' % (b"x" * 5000))

    assert 300 == len(store.ask(ReadManifest("target", "m.json", "start")).value)


def test_what_is_too_large_for_a_manifest_is_not_read(store):
    store.put("m.json", b" " * (2**20 + 1))

    assert "larger than 1 MiB" in store.ask(ReadManifest("target", "m.json", "start")).text
