"""Values of settings with their units and rules, without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.postgres.setting_rules import NotComparableError, Setting, SettingRule, keeps, shown, wanted


def setting(value: str | None, type: str = "integer", unit: str | None = None, **changed) -> Setting:  # noqa: A002 - as pg_settings calls it
    fields = {
        "name": "some_setting",
        "minimum": "0",
        "context": "user",
        "source": "default",
        "place": "",
        "own": False,
        "masked": False,
        "pending_restart": False,
    }
    return Setting(value=value, type=type, unit=unit, **(fields | changed))


def rule(**fields) -> SettingRule:
    return SettingRule.model_validate(fields)


PAGES, KILOBYTES, SECONDS = {"unit": "8kB"}, {"unit": "kB"}, {"unit": "s"}


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (setting("131072", **PAGES), "1GB"),
        (setting("16384", **PAGES), "128MB"),
        (setting("1000", **PAGES), "8000kB"),
        (setting("4096", **KILOBYTES), "4MB"),
        (setting("16", unit="MB"), "16MB"),
        (setting("300", **SECONDS), "5min"),
        (setting("90", **SECONDS), "90s"),
        (setting("1500", unit="ms"), "1500ms"),
        (setting("0.1", "real", unit="ms"), "100us"),
        (setting("1440", unit="min"), "1d"),
        (setting("0", **SECONDS), "0"),
        (setting("-1", **SECONDS), "-1"),
        (setting("100"), "100"),
        (setting("on", "bool"), "on"),
        (setting("", "string"), "empty"),
        (setting(None, "string"), "empty"),
    ],
)
def test_value_is_shown_with_a_fitting_unit(given, written):
    assert written == shown(given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (setting("131072", **PAGES), {"equals": "1GB"}),
        (setting("131072", **PAGES), {"equals": 131072}),
        (setting("131072", **PAGES), {"equals": "1024MiB"}),
        (setting("131072", **PAGES), {"at_least": "1048576kB", "severity": "P1"}),
        (setting("300", **SECONDS), {"at_most": "5min"}),
        (setting("300", **SECONDS), {"one_of": [60, "300000ms"]}),
        (setting("0.2", "real"), {"at_most": 0.2}),
        (setting("0.2", "real"), {"equals": "0.2"}),
        (setting("100"), {"other_than": 99}),
        (setting("on", "bool"), {"equals": True}),
        (setting("on", "bool"), {"equals": "yes"}),
        (setting("off", "bool"), {"other_than": "ON"}),
        (setting("on", "enum"), {"equals": True}),
        (setting("Scram-SHA-256", "enum"), {"equals": "scram-sha-256"}),
        (setting("", "string"), {"equals": ""}),
        (setting("42", "string"), {"equals": 42}),
    ],
)
def test_matching_value_satisfies_its_rule(given, kept):
    assert keeps(given, rule(**kept))


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        (setting("131072", **PAGES), {"equals": 131073}),
        (setting("131072", **PAGES), {"at_least": "1025MB"}),
        (setting("300", **SECONDS), {"at_most": "299s"}),
        (setting("300", **SECONDS), {"one_of": [1, 2]}),
        (setting("on", "bool"), {"other_than": True}),
        (setting("local", "enum"), {"equals": True}),
        (setting("Abc", "string"), {"equals": "abc"}),
    ],
)
def test_different_value_violates_its_rule(given, broken):
    assert not keeps(given, rule(**broken))


ENDLESS = [
    setting("-1", minimum="-1", **KILOBYTES),
    setting("0", unit="ms", name="statement_timeout"),
    setting("0", unit="s", name="archive_timeout"),
]


@pytest.mark.parametrize("given", ENDLESS, ids=lambda one: one.name)
def test_unlimited_value_exceeds_any_limit(given):
    assert not keeps(given, rule(at_most="1000d" if given.unit != "kB" else "1000TB"))
    assert keeps(given, rule(at_least=1))


def test_amount_is_itself_unless_it_means_unlimited():
    assert keeps(setting("0", name="vacuum_cost_delay", unit="ms"), rule(at_most="2ms"))
    assert keeps(setting("-1", minimum="-100"), rule(at_most=0))


@pytest.mark.parametrize(
    ("given", "odd"),
    [
        (setting("1", **KILOBYTES), {"equals": "5min"}),
        (setting("1", **SECONDS), {"at_most": "4MB"}),
        (setting("1"), {"at_most": "4MB"}),
        (setting("1"), {"equals": True}),
        (setting("1"), {"equals": "many"}),
        (setting("1"), {"one_of": [1, "many"]}),
        (setting("on", "bool"), {"equals": 2}),
        (setting("replica", "enum"), {"at_least": 1}),
    ],
)
def test_value_that_cannot_be_compared_is_an_error(given, odd):
    with pytest.raises(NotComparableError, match="some_setting"):
        keeps(given, rule(**odd))


@pytest.mark.parametrize(
    ("fields", "words", "value"),
    [
        ({"equals": True}, "on", "on"),
        ({"equals": "4MB"}, "4MB", "4MB"),
        ({"at_least": "8KiB"}, ">= 8KiB", "8kB"),
        ({"at_most": "2GiB"}, "<= 2GiB", "2GB"),
        ({"one_of": ["replica", "logical"]}, "one of replica, logical", "replica"),
        ({"other_than": ""}, "not empty", None),
        ({"other_than": -1}, "not -1", None),
    ],
)
def test_rule_has_words_and_a_wanted_value(fields, words, value):
    assert (words, value) == (rule(**fields).words, wanted(rule(**fields)))


@given(st.integers(0, 2**31 - 1), st.sampled_from(["8kB", "kB", "MB", "B", "ms", "s", "min"]))
def test_shown_value_equals_the_value(number, unit):
    some = setting(str(number), unit=unit)

    assert keeps(some, rule(equals=shown(some)))
