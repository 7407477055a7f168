"""The remedies of every bundled check: written safely, and naming only what its findings can carry."""

import pytest

from opscheck.core.expectation import Expectation
from opscheck.core.registry import Registry
from opscheck.core.remedy import Remedy
from opscheck.core.target import named_classes
from opscheck.core.templates import FINDING_NAMES, malformed, placeholders

REGISTRY = Registry.bundled()
FIELDS = {
    "redis": {"url": "redis://cache.example"},
    "postgres": {"dsn": "host=db.example"},
    "pgbouncer": {"dsn": "host=db.example"},
    "http": {"base_url": "https://api.example"},
    "prometheus": {"base_url": "https://prometheus.example"},
    "folder": {"path": "/backup"},
    "s3": {"bucket": "backup", "endpoint_url": "https://s3.example"},
    "kubernetes": {"context": "prod"},
    "host": {"uri": "local://"},
}


def _target_facts(kind: type[Expectation]) -> set[str]:
    kinds = REGISTRY.kinds_of(tuple(named_classes(kind)))
    targets = [REGISTRY.target_type(name)(kind=name, **FIELDS.get(name, {})) for name in kinds]
    return {fact for target in targets for fact in target.facts()}


def _known(kind: type[Expectation]) -> set[str]:
    return {*FINDING_NAMES, *kind.model_fields, *kind.fact_names, *_target_facts(kind)}


@pytest.fixture(name="kind", params=REGISTRY.expectation_types().values(), ids=lambda kind: kind.check_name)
def _kind(request) -> type[Expectation]:
    return request.param


def test_every_command_is_well_formed_and_names_what_is_known(kind):
    for remedy in kind.remedies:
        for command in remedy.commands:
            assert [] == malformed(command), command
            assert set(placeholders(command)) <= _known(kind), command


def test_every_remedy_says_what_to_do(kind):
    assert all(isinstance(one, Remedy) and one.summary for one in kind.remedies)
    assert len(kind.remedies) == len(set(kind.remedies))


def test_remedies_of_a_missing_answer_need_no_fact_of_a_finding(kind):
    assert set(kind.no_answer_remedies) <= set(kind.remedies)
    commands = [command for remedy in kind.no_answer_remedies for command in remedy.commands]
    named = {name for command in commands for name in placeholders(command)}

    assert named <= _known(kind) - set(kind.fact_names) | _target_facts(kind)


def test_former_names_of_facts_stand_for_facts_of_today(kind):
    assert {former.fact for former in kind.former_fact_names.values()} <= _known(kind)
    assert {one for former in kind.former_fact_names.values() for one in former.remedies} <= set(kind.remedies)
    assert set(kind.former_fact_names).isdisjoint({*FINDING_NAMES, *kind.fact_names})
