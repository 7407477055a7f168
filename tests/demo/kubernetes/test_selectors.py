"""Label and field selectors."""

import pytest

from opscheck.demo.kubernetes import pod
from opscheck.demo.kubernetes.selectors import BadSelector, field_selector, label_selector

WEB = {"metadata": {"labels": {"app": "web", "tier": "front", "replicas": "3"}}}
BARE = {"metadata": {}}


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "app=web",
        "app==web",
        "app = web, tier=front",
        "app!=worker",
        "app in (web, worker)",
        "app in (web),tier notin (back,middle)",
        "tier",
        "!gone",
        "replicas>2,replicas<4",
    ],
)
def test_selector_matches_an_object_with_these_labels(selector):
    assert label_selector(selector)(WEB)


@pytest.mark.parametrize(
    "selector", ["app=worker", "app!=web", "app in (worker)", "app notin (web)", "!app", "gone", "replicas>3"]
)
def test_selector_excludes_an_object_with_other_labels(selector):
    assert not label_selector(selector)(WEB)


@pytest.mark.parametrize("selector", ["app!=web", "app notin (web)", "!app"])
def test_missing_label_matches_a_negated_selector(selector):
    assert label_selector(selector)(BARE)


@pytest.mark.parametrize("selector", ["app=(", "app in web", "=web", "a b", "replicas>many"])
def test_invalid_selector_is_refused(selector):
    with pytest.raises(BadSelector):
        label_selector(selector)


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("metadata.name=web-1", True),
        ("metadata.name=web-2", False),
        ("status.phase!=Running", False),
        ("status.phase=Running,spec.nodeName=node-1", True),
        ("spec.nodeName==node-2", False),
    ],
)
def test_field_selector_compares_fields(selector, matches):
    assert matches is field_selector(selector, "Pod")(pod("web-1", node="node-1"))


def test_unsupported_field_of_a_kind_is_refused():
    with pytest.raises(BadSelector, match=r"field label not supported: spec\.replicas"):
        field_selector("spec.replicas=3", "Pod")
