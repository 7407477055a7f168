"""Reading one YAML 1.2 file: values with their places, within bounds."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.policy.document import MAX_ALIASED, MAX_DEPTH, Document, read_document
from opscheck.policy.errors import PolicyError
from opscheck.policy.files import MAX_BYTES, CannotOpenError
from opscheck.policy.nodes import Node, path_text, plain, walk


@pytest.fixture
def read(tmp_path):
    """The document that a text is."""

    def read(text: str | bytes) -> Document:
        path = tmp_path / "policy.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_document(path, "policy.yaml")

    return read


@pytest.fixture
def refusal(read):
    """What is said of a text that is no document."""

    def refusal(text: str | bytes) -> str:
        with pytest.raises(PolicyError) as error:
            read(text)
        return str(error.value)

    return refusal


def place_of(root: Node, *path: str | int) -> tuple[int, int]:
    return walk(root, path)[0].place[1:]


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("no", "no"),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-12-01", "2026-12-01"),
        ("true", True),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("75%", "75%"),
        ("=", "="),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
    ids=repr,
)
def test_scalars_are_those_of_yaml_1_2(read, written, value):
    assert {"x": value} == plain(read(f"x: {written}").root)


def test_alias_has_the_values_of_its_anchor(read):
    root = read("a: &limits {P2: 75%}\nb: *limits\n").root

    assert {"a": {"P2": "75%"}, "b": {"P2": "75%"}} == plain(root)
    assert root.items["b"].key_place == ("policy.yaml", 2, 1)


def test_an_anchor_may_be_given_again(read):
    assert {"a": 1, "b": 2, "c": 2} == plain(read("a: &x 1\nb: &x 2\nc: *x\n").root)


def test_byte_order_mark_is_ignored(read):
    assert {"a": 1} == plain(read(b"\xef\xbb\xbfa: 1\n").root)


@pytest.mark.parametrize("written", [".inf", "-.inf", ".nan", "1e999", "9" * 20, "9" * 5000])
def test_a_number_that_no_limit_can_be_is_an_issue(read, written):
    (issue,) = read(f"x: {written}\n").issues

    assert ("policy.yaml", 1, 4, "x") == (issue.file, issue.line, issue.column, issue.path)
    assert "finite number" in issue.rule


# -- places ----------------------------------------------------------------------------------------------------------


def test_every_key_and_value_knows_its_line_and_column(read):
    root = read("version: 1\nexpectations:\n  - id: disk\n    used: {P2: 85%, P0: 95%}\n").root

    assert (1, 10) == place_of(root, "version")
    assert (3, 5) == place_of(root, "expectations", 0)
    assert (4, 25) == place_of(root, "expectations", 0, "used", "P0")
    assert (4, 5) == walk(root, ("expectations", 0, "used"))[0].key_place[1:]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_lines_are_counted_as_an_editor_counts_them(read, end):
    root = read(f"a: 1{end}# ü{end}b: é{end}c: {{d: 2}}{end}").root

    assert (4, 8) == place_of(root, "c", "d")


def test_columns_count_characters_and_not_bytes(read):
    assert (1, 16) == place_of(read("{ä: 'üüüü', b: 1}").root, "b")


def test_an_entry_is_named_by_its_id(read):
    root = read("expectations:\n  - {id: disk, used: {P2: 85%}}\n  - {used: 1}\n").root

    assert path_text(root, ("expectations", 0, "used", "P2")) == "expectations[disk].used.P2"
    assert path_text(root, ("expectations", 1, "used")) == "expectations[1].used"


# -- what is no plain value -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: !acme [1]", "policy.yaml:1:4: a: expected a value without the tag !acme"),
        (
            "a: !!timestamp 2026-12-01",
            'policy.yaml:1:4: a: expected a value without the tag !!timestamp, got "2026-12-01"',
        ),
        ("a: !!set {b}", "policy.yaml:1:4: a: expected a value without the tag !!set"),
    ],
)
def test_a_tag_is_an_issue_and_the_rest_is_read(read, text, told):
    assert [told] == [str(issue) for issue in read(text).issues]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("? [a]\n: b", "policy.yaml:1:3: expected text as a key"),
        ("a: &x b\n*x : c", "policy.yaml:2:1: expected text as a key, got an alias (*x)"),
        ("a: *x", "policy.yaml:1:4: expected the anchor &x to end before this alias of it"),
        ("a: b: c", "policy.yaml:1:5: invalid YAML: mapping values are not allowed in this context"),
        ("a: @b", "policy.yaml:1:4: a: invalid YAML: found character that cannot start any token"),
        ("%YAML 2.0\n---\na: b", "policy.yaml:1:1: invalid YAML: found incompatible YAML document"),
        ("- a", "policy.yaml:1:1: expected a mapping with `version: 1`, got a list"),
        ("text", 'policy.yaml:1:1: expected a mapping with `version: 1`, got "text"'),
    ],
)
def test_unreadable_yaml_is_rejected_at_its_place(refusal, text, told):
    assert refusal(text).startswith(told)


@pytest.mark.parametrize(
    ("key", "shown"), [("1", "1"), ("true", "true"), ("1.5", "1.5"), ("null", "null"), ("", "nothing")], ids=repr
)
def test_key_that_is_not_text_is_an_issue(read, key, shown):
    (issue,) = read(f"? {key}\n: x\nb: y\n").issues

    assert (issue.rule, issue.value) == ("expected text as a key", shown)


# -- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [MAX_DEPTH, 100, 100_000])
@pytest.mark.parametrize("level", ["[", "{a: ", "- "])
def test_nesting_depth_is_limited(refusal, levels, level):
    assert f"expected at most {MAX_DEPTH} levels of nesting" in refusal(f"x:\n  {level * levels}")


def test_forty_levels_are_allowed(read):
    depth = MAX_DEPTH - 1

    assert not read("x: " + "[" * depth + "]" * depth).issues


def test_aliases_do_not_hide_levels(refusal):
    nested = "[" * 30 + "]" * 30

    assert "levels of nesting" in refusal(f"a: &a {nested}\nb: {'[' * 20}*a{']' * 20}\n")


def test_values_from_aliases_are_limited(read, refusal):
    hundred = f"a: &a [{'x,' * 99}]\n"
    times = MAX_ALIASED // 100

    assert not read(hundred + f"b: [{'*a,' * times}]").issues
    assert "values from aliases" in refusal(hundred + f"b: [{'*a,' * (times + 1)}]")


def test_pipe_is_limited_like_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_too_much, args=(pipe,))
    writer.start()

    with pytest.raises(PolicyError, match="at most 10MiB"):
        read_document(pipe, "pipe")
    writer.join(timeout=10)

    assert not writer.is_alive()


def write_too_much(pipe: Path) -> None:
    with suppress(BrokenPipeError):
        pipe.write_bytes(b"#" * (MAX_BYTES + 100_000))


@pytest.mark.parametrize("name", ["nowhere/policy.yaml", "a" * 300, "nul\0.yaml"], ids=["folder", "long", "nul"])
def test_file_that_cannot_be_opened_has_a_reason(tmp_path, name):
    with pytest.raises(CannotOpenError, match=r"no such file|cannot be read"):
        read_document(tmp_path / name, "policy.yaml")


# -- any text --------------------------------------------------------------------------------------------------------

yaml_like = st.text(st.sampled_from("ab:-{}[]&*!|>'\"#%@`?,\n\t $~<=01.\\x"), max_size=60)


@given(st.one_of(st.binary(max_size=60), yaml_like.map(str.encode), st.text(max_size=60).map(str.encode)))
def test_any_bytes_are_a_document_or_an_error_with_a_place(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)

    try:
        told = plain(read_document(path, "any.yaml").root)
    except PolicyError as error:
        told = str(error)

    assert isinstance(told, dict) or told.startswith("any.yaml:")
