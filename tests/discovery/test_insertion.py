"""Inserting entries into a policy changes no other byte of it."""

from textwrap import dedent

import pytest
import yaml
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from opscheck.bundle import bundled
from opscheck.discovery.insertion import CannotInsertError, inserted
from tests.property_tests import examples

NEW = {"targets": [["added: {kind: redis}"]], "expectations": [["- id: added", "  check: redis.ping"]]}


def grown(text, new=NEW):
    """`text` after insertion, with what was asserted of every insertion."""
    after = inserted(text, new, "policy.yaml")
    before, loaded = yaml.safe_load(text), yaml.safe_load(after)
    assert loaded["targets"] == (before.get("targets") or {}) | {"added": {"kind": "redis"}}
    assert loaded["expectations"] == [*(before.get("expectations") or []), {"id": "added", "check": "redis.ping"}]
    assert {**loaded, "targets": 0, "expectations": 0} == {**before, "targets": 0, "expectations": 0}
    assert is_subsequence(text, after)
    return after


def is_subsequence(text, after):
    """Whether all lines of `text` are in `after`, in their order and byte for byte."""
    lines = iter(after.splitlines(keepends=True))
    *whole, last = text.splitlines(keepends=True)
    return all(any(line == other for other in lines) for line in whole) and any(
        other.startswith(last) for other in lines
    )


@pytest.mark.parametrize("name", ["daily.yaml", "databases.yaml", "hosts.yaml", "kubernetes.yaml", "recovery.yaml"])
def test_bundled_policies_keep_every_line(name):
    grown((bundled("policies") / name).read_text())


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (
            """
            version: 1
            targets:
              one: {kind: redis} # here

            # what follows
            expectations:
              - id: a
                check: b
                # belongs to a
            # belongs to waivers
            waivers: []
            """,
            """
            version: 1
            targets:
              one: {kind: redis} # here
              added: {kind: redis}

            # what follows
            expectations:
              - id: a
                check: b
                # belongs to a

              - id: added
                check: redis.ping
            # belongs to waivers
            waivers: []
            """,
        ),
        (
            """
            expectations:
            - id: a
            # at the end
            targets:
                one: {kind: redis}
            """,
            """
            expectations:
            - id: a

            - id: added
              check: redis.ping
            # at the end
            targets:
                one: {kind: redis}
                added: {kind: redis}
            """,
        ),
        (
            """
            version: 1
            expectations:
            # none yet
            """,
            """
            version: 1
            expectations:

              - id: added
                check: redis.ping

            targets:
              added: {kind: redis}
            # none yet
            """,
        ),
        (
            """
            version: 1
            defaults: {timeout: 5s}
            """,
            """
            version: 1
            defaults: {timeout: 5s}

            targets:
              added: {kind: redis}

            expectations:
              - id: added
                check: redis.ping
            """,
        ),
        (
            """
            targets:
              one: {kind: redis}
            expectations:
              - id: a
                title: |+
                  kept

              # - id: commented out
            """,
            """
            targets:
              one: {kind: redis}
              added: {kind: redis}
            expectations:
              - id: a
                title: |+
                  kept

              # - id: commented out

              - id: added
                check: redis.ping
            """,
        ),
        (
            """
            targets: {}
            expectations:
              - &first {id: a}
              - *first
            """,
            None,
        ),
    ],
    ids=["comments", "no indentation", "empty list", "no sections", "block text", "flow targets"],
)
def test_entries_are_added_at_the_end_of_their_section(before, expected):
    before = dedent(before).lstrip()
    if expected is None:
        after = inserted(before, {"expectations": NEW["expectations"]}, "policy.yaml")
        assert after == before + "\n  - id: added\n    check: redis.ping\n"
    else:
        assert grown(before) == dedent(expected).lstrip()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n...\n", " # why", "\n# the end"])
def test_line_ends_and_byte_order_mark_stay(newline, start, end):
    text = start + f"targets:\n  one: {{kind: redis}}\nexpectations:\n  - id: a{end}".replace("\n", newline)

    after = grown(text)

    assert newline == "\n" or "\n" not in after.replace("\r\n", "")
    assert after.endswith("\n") == text.endswith("\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("expectations: [{id: a}]\n", "p.yaml:1: `expectations` is written as […] on one line; write one entry per"),
        ("a: 1\ntargets: {}\n", "p.yaml:2: `targets` is written as {…} on one line; write one entry per line first"),
        ("targets: ~\n", "p.yaml:1: `targets` is a single value; write its entries below it, one per line"),
        ("a: &x {}\ntargets: *x\n", "p.yaml:2: `targets` is a single value; write its entries below it, one per line"),
        ("targets: &x\n  a: {}\n", "p.yaml:1: `targets` has an anchor or a tag; add the entries by hand"),
        ("{a: 1}\n", "p.yaml: not a mapping with a key per line; add the entries by hand"),
        ("- a\n", "p.yaml: not a mapping with a key per line; add the entries by hand"),
        ("# nothing\n", "p.yaml: not a mapping with a key per line; add the entries by hand"),
    ],
)
def test_other_styles_are_refused_with_the_reason(text, says):
    with pytest.raises(CannotInsertError) as refused:
        inserted(text, NEW, "p.yaml")

    assert says in str(refused.value)


def test_nothing_to_add_changes_nothing():
    assert inserted("expectations: []\n", {"expectations": [], "targets": []}, "p.yaml") == "expectations: []\n"


# -- any file -------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ITEMS = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3)
NOISE = st.lists(
    st.sampled_from(["", "# a note", "  # a note: {", "    # - id: x", "# expectations:", "   "]), max_size=3
)


@st.composite
def policies(draw):
    """Policies in different styles, with comments and empty lines between their sections."""
    sections = {
        "version": 1,
        "targets": draw(st.dictionaries(st.text("abc", min_size=1, max_size=3), ITEMS, min_size=1, max_size=3)),
        "expectations": draw(st.lists(ITEMS, min_size=1, max_size=3)),
        "waivers": draw(st.lists(ITEMS, max_size=2)),
        "last": draw(VALUES),
    }
    names = draw(st.permutations(sorted(sections)))
    kept = names[: draw(st.integers(1, len(names)))]
    style = draw(st.sampled_from([None, '"', "'", "|", ">"]))

    class Dumper(yaml.SafeDumper):
        """Writes all texts but the names of sections in one style."""

    def represent(dumper, text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if text in sections else style)

    Dumper.add_representer(str, represent)
    parts = []
    for name in kept:
        parts.append(yaml.dump({name: sections[name]}, Dumper=Dumper, default_flow_style=False, allow_unicode=True))
        parts += [f"{line}\n" for line in draw(NOISE)]
    whole = "".join(parts)
    return whole if draw(st.booleans()) else whole.rstrip("\n")


@settings(max_examples=examples(300))
@given(policies())
def test_insertion_keeps_the_rest_byte_for_byte(text):
    try:
        before = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        reject()  # a comment inside a block of text
    assume(isinstance(before, dict) and before.keys() <= {"version", "targets", "expectations", "waivers", "last"})

    try:
        grown(text)
    except CannotInsertError as error:
        assert "tag" in str(error)  # noqa: PT017 - both are right, by what is written there
