"""The remedies of every bundled check: written safely, and naming only what its findings can carry."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest

import opscheck.systems
from opscheck.core.expectation import Expectation
from opscheck.core.remedy import Remedy
from opscheck.core.target import Target, TargetOf
from opscheck.core.templates import FINDING_NAMES, malformed, placeholders

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


def _kinds(base: type[Expectation] = Expectation) -> Iterator[type[Expectation]]:
    for kind in base.__subclasses__():
        yield from _kinds(kind)
        if kind.check_name and kind.__module__.startswith("opscheck.systems."):
            yield kind


def _bundled() -> list[type[Expectation]]:
    for module in pkgutil.walk_packages(opscheck.systems.__path__, "opscheck.systems."):
        import_module(module.name)
    return sorted(set(_kinds()), key=lambda kind: kind.check_name)


def _target_facts(kind: type[Expectation]) -> set[str]:
    classes = set[type[Target]]()
    for field in kind.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Target):
            classes.add(field.annotation)
        classes |= {one for mark in field.metadata if isinstance(mark, TargetOf) for one in mark._classes}
    targets = [known for known in Target.kinds.items() if issubclass(known[1], tuple(classes))]
    return {fact for name, target in targets for fact in target(kind=name, **FIELDS.get(name, {})).facts()}


def _known(kind: type[Expectation]) -> set[str]:
    return {*FINDING_NAMES, *kind.model_fields, *kind.fact_names, *_target_facts(kind)}


@pytest.fixture(name="kind", params=_bundled(), ids=lambda kind: kind.check_name)
def _kind(request) -> type[Expectation]:
    return request.param


def test_every_command_is_well_formed_and_names_what_is_known(kind):
    for remedy in (*kind.remedies, kind.default_remediation):
        for command in remedy.commands:
            assert [] == malformed(command), command
            assert set(placeholders(command)) <= _known(kind), command


def test_every_remedy_says_what_to_do(kind):
    assert all(isinstance(one, Remedy) and one.summary for one in kind.remedies)
    assert len(kind.remedies) == len(set(kind.remedies))


def test_remedies_of_a_missing_answer_are_declared_and_need_no_fact_of_a_finding(kind):
    assert set(kind.no_answer_remedies) <= set(kind.remedies)
    commands = [command for remedy in kind.no_answer_remedies for command in remedy.commands]
    named = {name for command in commands for name in placeholders(command)}

    assert named <= _known(kind) - set(kind.fact_names) | _target_facts(kind)


def test_former_names_of_facts_stand_for_facts_of_today(kind):
    assert set(kind.former_fact_names.values()) <= _known(kind)
    assert set(kind.former_fact_names).isdisjoint({*FINDING_NAMES, *kind.fact_names})
