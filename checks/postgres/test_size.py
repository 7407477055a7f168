"""The size of the databases of a PostgreSQL server, and the end of their sequences."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from opscheck import Findings, Observe, Percentage
from opscheck.core.findings import judge_all
from opscheck.core.intervals import no_sample_aged, sample_aged
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_bytes, format_duration
from opscheck.core.words import counted
from opscheck.systems.postgres.databases import each_database, none_matches
from opscheck.systems.postgres.server import DatabaseNames, identifier
from opscheck.systems.postgres.size import (
    REMOVE_LIMIT,
    SHOW_DATABASES,
    SHOW_RELATIONS,
    SHOW_SEQUENCE,
    WIDEN_COLUMN,
    WIDEN_SEQUENCE,
    LargestRelations,
    PostgresSize,
    RelationSize,
    Sequence,
    Sequences,
    SequencesAnswer,
    Sizes,
)

_EVIDENCE = 5
_NARROW = frozenset({"smallint", "integer"})


class Sized(NamedTuple):
    """A database whose size is known."""

    name: str
    bytes: int


def test_databases_have_room_to_grow(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    """
    Databases stay within their size and growth limits, and sequences have values left.

    A database that grows unnoticed fills its disk, and every write fails. At the end of a sequence every insert into
    its table fails.
    """
    judge_all(
        lambda: _judge_total(expectation, observe, findings),
        lambda: _judge_sizes(expectation, observe, findings),
        lambda: _judge_sequences(expectation, observe, findings),
        lambda: _judge_growth(expectation, observe, findings),
    )


def _judge_total(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    """All databases together. Raises CouldNotObserve where some sizes are unknown: the total is then larger."""
    if expectation.total is None:
        return
    sizes = observe(expectation.sizes)
    hidden = [one.name for one in sizes.databases if one.bytes is None]
    known = sum(one.bytes or 0 for one in sizes.databases)
    if not hidden or expectation.total.severity(known):
        count = len(sizes.databases)
        here = findings.on(expectation.target.address, database_count=count)
        detail = f"{count} databases"
        here.grade("size of all databases", known, expectation.total, detail=detail, remedies=(SHOW_DATABASES,))
    if hidden:
        raise _hidden(expectation, sizes, hidden)


def _judge_sizes(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    if not expectation.judges_databases:
        return
    for database in _sized(expectation, observe(expectation.sizes)):
        here = findings.on(f"database {database.name}")
        about = _largest(expectation, database, observe) if expectation.is_too_large(database.bytes) else {}
        here.grade("size", database.bytes, expectation.size, unit="B", **about)


def _judge_growth(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    """The growth of databases between two samples, scaled to the policy's period."""
    if not expectation.judges_growth:
        return
    over = format_duration(float(expectation.over))
    for database, earlier, age_s in _growth(expectation, observe):
        here, about = findings.on(f"database {database.name}"), _largest(expectation, database, observe)
        size = round((database.bytes - earlier) * float(expectation.over) / age_s)
        share = Percentage(100.0 * size / max(1, earlier))
        limit = expectation.growth if size > expectation.growth_above else None
        detail = f"{format_bytes(database.bytes)}, {format_bytes(earlier)} {format_duration(age_s)} ago"
        here.grade(f"growth in {over}", share, limit, detail=detail, **about)
        here.grade(f"grown in {over}", size, expectation.grown, unit="B", detail=detail, **about)


def _judge_sequences(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    """The most used sequences. Raises CouldNotObserve, with the grants, where some are hidden."""
    limit = expectation.sequences
    if limit is None:
        return
    hidden: list[CouldNotObserve] = []
    for query, answer in each_database(expectation, observe, Sequences):
        where = f"database {answer.database}"
        findings.measure("sequences", answer.seen, subject=where)
        broken = [sequence for sequence in answer.most_used if limit.severity(sequence.used) is not None]
        for one in broken or answer.most_used[:1]:
            here, used = findings.on(f"{one.schema}.{one.name} in {where}"), Percentage(one.used)
            detail, evidence = _sequence_detail(one), [_feeds(one)]
            here.grade("sequence used", used, limit, detail=detail, evidence=evidence, **_more_values(answer, one))
        if answer.hidden:
            hidden.append(CouldNotObserve(query, _hidden_sequences(answer)))
    if hidden:
        raise hidden[0]


def _sized(expectation: PostgresSize, sizes: Sizes) -> Iterator[Sized]:
    """
    Each judged database with a known size; at the end raises CouldNotObserve where a size is unknown.

    Raises CouldNotObserve at once where no database matches.
    """
    there = {one.name: one for one in sizes.databases}
    meant = expectation.matched(_names(sizes))
    if not meant:
        raise none_matches(expectation.sizes, expectation.patterns, _names(sizes))
    for name in meant:
        if name in there and (size := there[name].bytes) is not None:
            yield Sized(name, size)
    absent = [name for name in meant if name not in there]
    if absent:
        raise _absent(expectation, sizes, absent)
    hidden = [name for name in meant if there[name].bytes is None]
    if hidden:
        raise _hidden(expectation, sizes, hidden)


def _growth(expectation: PostgresSize, observe: Observe) -> Iterator[tuple[Sized, int, float]]:
    """
    Each database, its size in an earlier sample, and the sample's age in seconds.

    Raises CouldNotObserve at once without a sample of the right age, and at the end for new databases.
    """
    query, over = expectation.sizes, float(expectation.over)
    sample = sample_aged(observe, query, over)
    if sample is None:
        raise no_sample_aged(observe, query, over)
    age = (observe.observation(query).taken_at - sample.taken_at).total_seconds()
    now = observe(query)
    numbers = {one.name: one.oid for one in now.databases}
    then = {(one.name, one.oid): one.bytes for one in sample.answer.databases}
    new: list[str] = []
    for database in _sized(expectation, now):
        earlier = then.get((database.name, numbers[database.name]))
        if earlier is None:
            new.append(database.name)
        else:
            yield database, earlier, age
    if new:
        text = f"first sample: the size of {' and '.join(new)} {format_duration(age)} ago is unknown"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.FIRST_SAMPLE, text=text))


def _largest(expectation: PostgresSize, database: Sized, observe: Observe) -> dict[str, Any]:
    """The largest relations as evidence, and the rest of a finding about one database."""
    query, facts = expectation.relations(database.name), {"database": database.name}
    answer = observe.evidence(query)
    evidence: list[str] = []
    if isinstance(answer, Problem):
        evidence = [f"largest relations unknown: {answer.text}"]
    elif answer.largest:
        facts["largest"] = answer.largest[0].name
        earlier = _earlier_relations(expectation, query, observe)
        evidence = [_relation_line(one, earlier) for one in answer.largest[:_EVIDENCE]]
    return {"evidence": evidence, "remedies": (SHOW_RELATIONS,), "facts": facts}


def _earlier_relations(expectation: PostgresSize, query: LargestRelations, observe: Observe) -> dict[str, int]:
    """The sizes of its relations `over` ago, by name; empty where growth is not judged, or unknown."""
    sample = sample_aged(observe, query, float(expectation.over)) if expectation.judges_growth else None
    return {} if sample is None else {one.name: one.bytes for one in sample.answer.largest}


def _relation_line(relation: RelationSize, earlier: dict[str, int]) -> str:
    indexes = relation.bytes - relation.table_bytes
    line = f"{relation.name} {format_bytes(relation.bytes)} (indexes {format_bytes(indexes)})"
    if relation.name in earlier:
        line += f", before {format_bytes(earlier[relation.name])}"
    return line


def _hidden_sequences(answer: SequencesAnswer) -> Problem:
    role = identifier(answer.role)
    if answer.hidden == len(answer.hidden_names):
        what = f"SEQUENCE {', '.join(answer.hidden_names)}"
    else:
        what = f"ALL SEQUENCES IN SCHEMA {', '.join(answer.hidden_schemas)}"
    first = ", ".join(answer.hidden_names[:_EVIDENCE])
    more = f" and {answer.hidden - _EVIDENCE} more" if answer.hidden > _EVIDENCE else ""
    text = (
        f"role {answer.role} may not read {answer.hidden} of {answer.hidden + answer.seen} sequences "
        f"in database {answer.database}: {first}{more}"
    )
    advice = f"in database {answer.database}: GRANT SELECT ON {what} TO {role}"
    return Problem(kind=ProblemKind.DENIED, text=text, advice=advice)


def _sequence_detail(sequence: Sequence) -> str:
    """The last value, and the limit of the sequence."""
    if sequence.limited_by == "column":
        ends = f"the limit of {_column(sequence)} ({sequence.column_type})"
    elif sequence.limited_by == "type":
        ends = f"the limit of its type {sequence.type}"
    else:
        ends = f"its {sequence.limited_by}"
    return f"{sequence.last_value} of {sequence.limit}, {ends}; {counted(sequence.left, 'value')} left"


def _more_values(answer: SequencesAnswer, sequence: Sequence) -> dict[str, Any]:
    """The remedies that allow more values, and their facts."""
    remedies = [SHOW_SEQUENCE]
    facts = {"database": answer.database, "schema": sequence.schema, "sequence": sequence.name}
    facts |= {"type": sequence.type, "limit": str(sequence.limit)}
    if sequence.column_type in _NARROW and sequence.table and sequence.table_schema and sequence.column:
        remedies.append(WIDEN_COLUMN)
        facts |= {"table_schema": sequence.table_schema, "table": sequence.table, "column": sequence.column}
    if sequence.type in _NARROW:
        remedies.append(WIDEN_SEQUENCE)
    if sequence.limited_by in {"maxvalue", "minvalue"}:
        remedies.append(REMOVE_LIMIT)
    return {"remedies": remedies, "facts": facts}


def _feeds(sequence: Sequence) -> str:
    if sequence.table is None:
        return "no known column uses it"
    return f"it feeds {_column(sequence)} ({sequence.column_type})"


def _column(sequence: Sequence) -> str:
    return f"{sequence.table_schema}.{sequence.table}.{sequence.column}"


def _names(sizes: Sizes) -> DatabaseNames:
    names = tuple(one.name for one in sizes.databases if not one.is_template)
    return DatabaseNames(names=names, current=sizes.current)


def _hidden(expectation: PostgresSize, sizes: Sizes, names: Collection[str]) -> CouldNotObserve:
    text = (
        f"role {sizes.role} may not read the size of database {' and '.join(names)}: "
        "it may not connect, and is not a member of pg_read_all_stats"
    )
    advice = f"GRANT pg_read_all_stats TO {identifier(sizes.role)}"
    return CouldNotObserve(expectation.sizes, Problem(kind=ProblemKind.DENIED, text=text, advice=advice))


def _absent(expectation: PostgresSize, sizes: Sizes, names: Collection[str]) -> CouldNotObserve:
    text = f"database {' or '.join(names)} does not exist"
    there = f"databases: {', '.join(_names(sizes).names)}" if expectation.sizes.databases is None else ""
    return CouldNotObserve(expectation.sizes, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=there))
