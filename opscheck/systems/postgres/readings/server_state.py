"""Whether a server's data can be trusted, and whether what is installed in its databases is what should be."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.postgres.databases import connectable, each_database
from opscheck.systems.postgres.readings.facts import Trouble
from opscheck.systems.postgres.setting_rules import ExtensionRule
from opscheck.systems.postgres.settings import AskCollations, AskExtensions, Extension, Extensions, PostgresSettings

_DATABASES_TELL_SINCE = 15


def missing_checksums(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """That pages have no checksums."""
    if expectation.checksums is not None and not observe(expectation.state).checksums:
        yield Trouble(
            subject="data checksums",
            observed="off: a page that the disk has changed is taken for what was written",
            expected="on, by pg_checksums --enable while the server is stopped",
            severity=expectation.severity_of(expectation.checksums),
        )


def checksum_failures(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """Where pages were not what had been written. Raises CouldNotObserve where nobody would notice."""
    if expectation.checksum_failures is None:
        return
    state = observe(expectation.state)
    for one in state.failures:
        where = "what all databases share" if one.database is None else f"database {one.database}"
        yield Trouble(
            subject=where,
            observed=f"{one.count} checksum failure{'' if one.count == 1 else 's'}",
            expected="none since statistics were reset",
            severity=expectation.severity_of(expectation.checksum_failures),
            since=None if one.last is None else datetime.fromtimestamp(one.last, UTC),
            facts={"corrupt": where},
        )
    if not state.checksums:
        text, advice = "data checksums are off: nobody notices a failure", "pg_checksums --enable, or leave it out"
        raise _unsupported(expectation, text, advice)


def changed_collations(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """The databases whose own collation has changed. Raises CouldNotObserve where they do not tell."""
    if expectation.collations is None:
        return
    state = observe(expectation.state)
    for one in state.databases:
        if one.recorded is not None and one.actual is not None and one.recorded != one.actual:
            yield Trouble(
                subject=f"database {one.name}",
                observed=f"its indexes were built with version {one.recorded} of its collation, now it is {one.actual}",
                expected="one version: with another one indexes miss rows that are there",
                severity=expectation.severity_of(expectation.collations),
                facts={"collation_database": one.name} if connectable(one.name) else {},
            )
    silent = [one for one in state.databases if one.needs_version]
    if silent:
        first = f"PostgreSQL {state.major} does not record the version of the collation {silent[0].collation}"
        text = f"{first} of database {silent[0].name}; it does from {_DATABASES_TELL_SINCE} on"
        raise _unsupported(expectation, text, "leave `collations` out, or upgrade")


def changed_column_collations(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """The collations of columns and indexes that have changed."""
    if expectation.collations is None:
        return
    for came in each_database(expectation, observe, AskCollations):
        for one in came.answer.changed:
            database = came.answer.database
            yield Trouble(
                subject=f"collation {one.name} in database {database}",
                observed=f"indexes were built with its version {one.recorded}, now it is {one.actual}",
                expected="one version: with another one indexes miss rows that are there",
                severity=expectation.severity_of(expectation.collations),
                facts={"column_collation_database": database, "collation": one.name} if connectable(database) else {},
            )


def invalid_databases(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """The databases that are half dropped."""
    if expectation.invalid_databases is None:
        return
    for one in observe(expectation.state).databases:
        if one.invalid:
            yield Trouble(
                subject=f"database {one.name}",
                observed="a DROP DATABASE was interrupted: nobody can connect, and it keeps its space",
                expected="a database, or none",
                severity=expectation.severity_of(expectation.invalid_databases),
                facts={"invalid_database": one.name},
            )


def wrong_extensions(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """The extensions that are not there, not in their version, or could be updated."""
    if expectation.extensions is None and expectation.outdated_extensions is None:
        return
    for came in each_database(expectation, observe, AskExtensions):
        there = {one.name: one for one in came.answer.extensions}
        for name, rule in (expectation.extensions or {}).items():
            yield from _required(expectation, came.answer, name, rule, there.get(name))
        if expectation.outdated_extensions is not None:
            yield from _outdated(expectation, came.answer)


def _required(
    expectation: PostgresSettings, answer: Extensions, name: str, rule: ExtensionRule, found: Extension | None
) -> Iterator[Trouble]:
    if found is not None and found.installed is not None and _is_version(found.installed, rule.version):
        return
    observed = "not installed" if found is None or found.installed is None else f"version {found.installed}"
    if found is None:
        observed += ", and the server has no files of it"
    known = {}
    if found is not None and connectable(answer.database):
        known = {"database": answer.database}
        known["missing_extension" if found.installed is None else "outdated_extension"] = name
    yield Trouble(
        subject=f"extension {name} in database {answer.database}",
        observed=observed,
        expected="installed" if rule.version == "any" else rule.version,
        severity=rule.severity or expectation.ungraded_severity,
        facts=known,
    )


def _outdated(expectation: PostgresSettings, answer: Extensions) -> Iterator[Trouble]:
    for one in answer.extensions:
        if one.installed is None or one.installed == one.available:
            continue
        gone = one.available is None
        known = {"database": answer.database, "outdated_extension": one.name}
        yield Trouble(
            subject=f"extension {one.name} in database {answer.database}",
            observed=f"version {one.installed}",
            expected="files of it on the server, which are gone" if gone else f"{one.available}, as the server's files",
            severity=expectation.severity_of(expectation.outdated_extensions),
            facts=known if connectable(answer.database) and not gone else {},
        )


def _is_version(installed: str, wanted: str) -> bool:
    if wanted == "any":
        return True
    if wanted.startswith(">="):
        return _parts(installed) >= _parts(wanted.removeprefix(">=").strip())
    return installed == wanted


def _parts(version: str) -> list[int]:
    """The numbers of a version, without the zeros at its end: 3.10 comes after 3.4, and 3.0 is 3."""
    parts = [int(number) for number in re.findall(r"\d+", version)]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _unsupported(expectation: PostgresSettings, text: str, advice: str) -> CouldNotObserve:
    return CouldNotObserve(expectation.state, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
