"""Label selectors: kubectl's grammar, and the objects they mean."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.demo.kubernetes.selectors import label_selector
from opscheck.systems.kubernetes.label_selectors import LabelSelector, parse_selector

LABELS = {"app": "web", "tier": "front", "generation": "3", "empty": "", "example.com/team": "a"}


@pytest.mark.parametrize(
    "selector",
    [
        "app=web",
        "app==web",
        "app = web",
        "app!=api",
        "missing!=api",
        "app in (web, api)",
        "app in (web)",
        "app notin (api,db)",
        "missing notin (api)",
        "app",
        "!missing",
        "! missing",
        "empty=",
        "empty",
        "empty in (,x)",
        "empty in ()",
        "generation>2",
        "generation<4",
        "example.com/team=a",
        " app=web , tier in (front) ,!missing",
    ],
)
def test_a_selector_selects(selector):
    assert parse_selector(selector).matches(LABELS)


@pytest.mark.parametrize(
    "selector",
    [
        "app=api",
        "app!=web",
        "app in (api)",
        "app notin (web)",
        "missing",
        "missing=",
        "missing in (x)",
        "!app",
        "generation>3",
        "generation<3",
        "app>1",
        "missing>1",
        "app=web,tier=back",
    ],
)
def test_a_selector_leaves_out(selector):
    assert not parse_selector(selector).matches(LABELS)


def test_no_selector_selects_everything():
    assert parse_selector(None).matches({})


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ("", "the selector is empty; leave it out to select everything"),
        ("  ", "the selector is empty"),
        ("app=web,", "expected a label, got the end"),
        (",app=web", "expected a label, got `,`"),
        ("app=web tier=front", "expected `,`, got `tier`"),
        ("app web", "expected `=` or `==` or `!=` or `in` or `notin` or `>` or `<`, got `web`"),
        ("app in web", "expected `(`, got `web`"),
        ("app in (web", "expected `,` or `)`, got the end"),
        ("app in (web api)", "expected `,` or `)`, got `api`"),
        ("app===web", "expected a value, got `=`"),
        ("app=web=api", "expected `,`, got `=`"),
        ("=web", "expected a label, got `=`"),
        ("!", "expected a label, got the end"),
        ("!app=web", "expected `,`, got `=`"),
        ("-app=web", "invalid label `-app`"),
        ("app=-web", "invalid value `-web` of a label"),
        ("app=we$b", "invalid value `we$b` of a label"),
        ("Example.com/app=web", "invalid label `Example.com/app`"),
        ("a/b/c=d", "invalid label `a/b/c`"),
        ("app>many", "expected a whole number, got `many`"),
        (f"{'a' * 64}=b", "invalid label"),
        (f"a={'b' * 64}", "invalid value"),
    ],
)
def test_invalid_selector_error_names_the_wrong_token(selector, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_selector(selector)


KEYS = st.sampled_from(["app", "tier", "example.com/team"])
VALUES = st.sampled_from(["web", "api", "x.y-z_1", ""])
SETS = st.lists(VALUES, min_size=1, max_size=3).map(lambda values: f"({','.join(values)})")
REQUIREMENTS = st.one_of(
    st.tuples(KEYS, st.sampled_from(["=", "==", "!=", " = "]), VALUES),
    st.tuples(KEYS, st.sampled_from([" in ", " notin "]), SETS),
    st.tuples(st.sampled_from(["", "!"]), KEYS, st.just("")),
).map("".join)


@given(
    selector=st.lists(REQUIREMENTS, min_size=1, max_size=3).map(",".join),
    labels=st.dictionaries(KEYS, VALUES),
)
def test_it_selects_what_an_api_server_selects(selector, labels):
    served = label_selector(selector)({"metadata": {"labels": labels}})

    assert served == parse_selector(selector).matches(labels)


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_a_value_error(text):
    with suppress(ValueError):
        assert isinstance(parse_selector(text), LabelSelector)


def test_the_labels_it_looks_at_are_known():
    assert ("app", "tier") == parse_selector("app=web,tier,app!=api").keys
