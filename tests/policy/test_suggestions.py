"""What was probably meant."""

import pytest

from opscheck import ByteSize, Duration, Percentage
from opscheck.policy.suggestions import did_you_mean, nearest_choice, with_unit


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        (Percentage, "75", "75%"),
        (Percentage, "0.75", "75%"),
        (Percentage, "75 %", "75%"),
        (Percentage, "75 percent", "75%"),
        (Duration, "15", "15s"),
        (Duration, "15 min", "15m"),
        (Duration, "2 Hours", "2h"),
        (Duration, "500 millis", "500ms"),
        (ByteSize, "20", "20GB"),
        (ByteSize, "20000000", "20000000B"),
        (ByteSize, "512Mi", "512MiB"),
        (ByteSize, "20G", "20GB"),
        (ByteSize, "20 gb", "20GB"),
        (Duration, "soon", None),
        (Duration, "2 fortnights", None),
        (Percentage, "20GB", None),
        (Duration, "-5", None),
    ],
)
def test_a_number_without_its_unit_is_written_with_one(kind, written, meant):
    assert meant == with_unit(written, kind.noun)
    assert meant is None or kind.parse(meant)


def test_similar_word_is_suggested_in_any_case():
    assert did_you_mean("TARGTE", ["target", "title"], "known are") == "did you mean target?"


def test_all_words_are_listed_without_a_similar_one():
    names = [f"name-{number}" for number in range(40)]

    assert did_you_mean("xyz", ["target", "title"], "known are") == "known are target, title"
    assert did_you_mean("xyz", names, "there are").endswith("name-29 and 10 more")
    assert did_you_mean("xyz", [], "there are") is None


@pytest.mark.parametrize(("word", "severity"), [("p1", "P1"), ("critical", "P0"), ("Low", "P3"), ("urgent", None)])
def test_a_severity_may_be_called_by_its_name(word, severity):
    assert severity == nearest_choice(word, ["P0", "P1", "P2", "P3"])
