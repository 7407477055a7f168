"""What the sizes of databases, their growth and the state of their sequences mean."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from opscheck.core.findings import Observe
from opscheck.core.intervals import no_sample_aged, sample_aged
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Percentage, format_bytes, format_duration
from opscheck.systems.postgres.databases import DatabaseNames, DatabaseQuery
from opscheck.systems.postgres.server import identifier
from opscheck.systems.postgres.size import (
    AskSizes,
    DatabaseSize,
    LargestRelations,
    PostgresSize,
    Relations,
    RelationSize,
    Sequence,
    SequencesAnswer,
    Sizes,
)

_EVIDENCE = 5
_NARROW = frozenset({"smallint", "integer"})


@dataclass(frozen=True)
class Sized:
    """A database whose size is known."""

    name: str
    bytes: int

    @property
    def subject(self) -> str:
        """The database, for a finding."""
        return f"database {self.name}"


@dataclass(frozen=True)
class Growth:
    """How much a database grew between two samples, told for the time that the policy names."""

    database: Sized
    earlier: int
    age_s: float
    over_s: float

    @property
    def bytes(self) -> int:
        """By how many bytes; negative when it became smaller."""
        return round((self.database.bytes - self.earlier) * self.over_s / self.age_s)

    @property
    def share(self) -> Percentage:
        """The same in percent of what it was."""
        return Percentage(100.0 * self.bytes / max(1, self.earlier))

    @property
    def detail(self) -> str:
        """What the numbers are made of."""
        return f"{format_bytes(self.database.bytes)}, {format_bytes(self.earlier)} {format_duration(self.age_s)} ago"


@dataclass(frozen=True)
class Total:
    """All databases together."""

    bytes: int
    count: int
    hidden: CouldNotObserve | None
    """What to raise where the size of some is not known; all together are then larger still."""


def total_of(expectation: PostgresSize, sizes: Sizes) -> Total:
    """The sum over every database whose size is known."""
    hidden = [one.name for one in sizes.databases if one.bytes is None]
    known = sum(one.bytes or 0 for one in sizes.databases)
    return Total(known, len(sizes.databases), _hidden(expectation.sizes, sizes, hidden) if hidden else None)


def sized(expectation: PostgresSize, sizes: Sizes) -> Iterator[Sized]:
    """
    Each database that is meant and whose size is known; at the end raises CouldNotObserve where one is not.

    Raises it at once where no database matches.
    """
    there = {one.name: one for one in sizes.databases}
    meant = expectation.matched(_names(sizes))
    if not meant:
        raise _absent(expectation, sizes, expectation.patterns)
    for name in meant:
        if name in there and there[name].bytes is not None:
            yield _known(there[name])
    absent = [name for name in meant if name not in there]
    if absent:
        raise _absent(expectation, sizes, absent)
    hidden = [name for name in meant if there[name].bytes is None]
    if hidden:
        raise _hidden(expectation.sizes, sizes, hidden)


def growth(expectation: PostgresSize, observe: Observe) -> Iterator[Growth]:
    """
    How much each database grew; at the end raises CouldNotObserve for those that were not there before.

    Raises it at once where there is no earlier sample of the right age.
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
    for database in sized(expectation, now):
        earlier = then.get((database.name, numbers[database.name]))
        if earlier is None:
            new.append(database.name)
        else:
            yield Growth(database, earlier, age, over)
    if new:
        text = f"first sample: the size of {' and '.join(new)} {format_duration(age)} ago is not known"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.FIRST_SAMPLE, text=text))


def largest(expectation: PostgresSize, database: Sized, observe: Observe) -> tuple[list[str], dict[str, str]]:
    """Evidence what a database is large by, and the facts of a finding about it."""
    facts = {"database": database.name}
    query = expectation.relations(database.name)
    answer = observe.aside(query)
    if isinstance(answer, Problem):
        return [f"its largest relations are not known: {answer.text}"], facts
    if not answer.largest:
        return [], facts
    earlier = _earlier_relations(expectation, query, observe)
    lines = [_relation_line(one, earlier) for one in answer.largest[:_EVIDENCE]]
    return lines, facts | {"largest": answer.largest[0].name}


def near_end(expectation: PostgresSize, answer: SequencesAnswer) -> tuple[Sequence, ...]:
    """The sequences that break a limit, else the one that is nearest to its end."""
    limit = expectation.sequences
    broken = tuple(one for one in answer.most_used if limit is not None and limit.severity(one.used) is not None)
    return broken or answer.most_used[:1]


def require_readable(query: DatabaseQuery[SequencesAnswer], answer: SequencesAnswer) -> None:
    """Raises CouldNotObserve, with the grants, where some sequences of a database could not be read."""
    if not answer.hidden:
        return
    role = identifier(answer.role)
    named = answer.hidden == len(answer.hidden_names)
    if named:
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
    raise CouldNotObserve(query, Problem(kind=ProblemKind.DENIED, text=text, advice=advice))


def sequence_subject(answer: SequencesAnswer, sequence: Sequence) -> str:
    """Which sequence, and where."""
    return f"{sequence.schema}.{sequence.name} in database {answer.database}"


def sequence_detail(sequence: Sequence) -> str:
    """How far it has come, and what ends it."""
    if sequence.limited_by == "column":
        ends = f"which {_column(sequence)} ({sequence.column_type}) can hold"
    elif sequence.limited_by == "type":
        ends = f"the end of its type {sequence.type}"
    else:
        ends = f"its {sequence.limited_by}"
    return f"{sequence.last_value} of {sequence.limit}, {ends}; {sequence.left} values left"


def sequence_facts(answer: SequencesAnswer, sequence: Sequence) -> dict[str, str]:
    """What remediation commands may name: only what stands in the way of more values."""
    facts = {
        "sequence_database": answer.database,
        "sequence_schema": sequence.schema,
        "sequence": sequence.name,
    }
    if sequence.column_type in _NARROW and sequence.table and sequence.table_schema and sequence.column:
        facts |= {"table_schema": sequence.table_schema, "table": sequence.table, "column": sequence.column}
    if sequence.type in _NARROW:
        facts["narrow"] = sequence.type
    if sequence.limited_by in {"maxvalue", "minvalue"}:
        facts["capped_at"] = str(sequence.limit)
    return facts


def sequence_evidence(sequence: Sequence) -> list[str]:
    """What it feeds."""
    if sequence.table is None:
        return ["no column is known to take its values"]
    return [f"it feeds {_column(sequence)}, {sequence.column_type}"]


def _column(sequence: Sequence) -> str:
    return f"{sequence.table_schema}.{sequence.table}.{sequence.column}"


def _names(sizes: Sizes) -> DatabaseNames:
    names = tuple(one.name for one in sizes.databases if not one.is_template)
    return DatabaseNames(names=names, current=sizes.current)


def _known(database: DatabaseSize) -> Sized:
    return Sized(database.name, database.bytes or 0)


def _hidden(query: AskSizes, sizes: Sizes, names: Collection[str]) -> CouldNotObserve:
    text = (
        f"role {sizes.role} may not know the size of database {' and '.join(names)}: "
        "it may not connect there, and is no member of pg_read_all_stats"
    )
    advice = f"GRANT pg_read_all_stats TO {identifier(sizes.role)}"
    return CouldNotObserve(query, Problem(kind=ProblemKind.DENIED, text=text, advice=advice))


def _absent(expectation: PostgresSize, sizes: Sizes, names: Collection[str]) -> CouldNotObserve:
    text = f"there is no database {' or '.join(names)}"
    there = f"there are {', '.join(_names(sizes).names)}" if expectation.sizes.databases is None else ""
    return CouldNotObserve(expectation.sizes, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=there))


def _earlier_relations(expectation: PostgresSize, query: LargestRelations, observe: Observe) -> dict[str, int]:
    """What its relations were `over` ago, by name; nothing where that is not judged, or not known."""
    sample = sample_aged(observe, query, float(expectation.over)) if expectation.judges_growth else None
    relations: Relations | None = None if sample is None else sample.answer
    return {} if relations is None else {one.name: one.bytes for one in relations.largest}


def _relation_line(relation: RelationSize, earlier: dict[str, int]) -> str:
    indexes = relation.bytes - relation.table_bytes
    line = f"{relation.name} {format_bytes(relation.bytes)}, of it indexes {format_bytes(indexes)}"
    if relation.name in earlier:
        line += f"; it was {format_bytes(earlier[relation.name])}"
    return line
