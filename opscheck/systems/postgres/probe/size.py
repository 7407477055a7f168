"""Reads the sizes of databases and relations, and the last values of sequences."""

from collections.abc import Iterator

import msgspec
import psycopg

from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import Row, Versions, one_row, renew_transaction, rows
from opscheck.systems.postgres.size import LargestRelations, ReadSizes, Relations, Sequences, SequencesAnswer, Sizes

_LARGEST = 10
_MOST_USED = 50
_NAMED = 10
# Reading a sequence takes a lock until the end of the transaction, and the lock table is small.
_SEQUENCES_AT_ONCE = 200
_GONE = ("42704", "3D000", "58P01", "XX000")

_PLACE = """
    SELECT current_user::text AS role, current_database()::text AS current, oid::int8 AS database_oid,
           (SELECT system_identifier FROM pg_control_system())::text AS system
    FROM pg_database WHERE datname = current_database()
"""
_DATABASES = """
    SELECT oid::int8 AS oid, datname::text AS name, datistemplate AS is_template,
           CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
                THEN {size} END AS bytes
    FROM pg_database
    WHERE %(names)s::text[] IS NULL OR datname::text = ANY (%(names)s::text[])
    ORDER BY datname
"""
_SIZES = Versions({12: _DATABASES.format(size="pg_database_size(oid)")})
_WITHOUT_SIZES = Versions({12: _DATABASES.format(size="-1::int8")})
_ONE_SIZE = "SELECT pg_database_size(%(oid)s::oid) AS bytes"

# relpages dates from the last VACUUM or ANALYZE. It is 0 for relations without one, which are selected by their
# inserted rows. Measuring every relation would read several files of each.
_RELATIONS = Versions(
    {
        12: """
    WITH candidates AS (
        (SELECT oid, relkind, reltoastrelid FROM pg_class WHERE relkind IN ('r', 'm', 't', 'i')
         ORDER BY relpages DESC, oid LIMIT 150)
        UNION
        (SELECT oid, relkind, reltoastrelid FROM pg_class WHERE relkind IN ('r', 'm') AND relpages = 0
         ORDER BY pg_stat_get_tuples_inserted(oid) DESC, oid LIMIT 50)
    ), owners AS (
        SELECT oid FROM candidates WHERE relkind IN ('r', 'm')
        UNION SELECT i.indrelid FROM candidates c JOIN pg_index i ON i.indexrelid = c.oid
        UNION SELECT t.oid FROM candidates c JOIN pg_class t ON t.reltoastrelid = c.oid
    )
    SELECT * FROM (
        SELECT format('%%I.%%I', n.nspname, c.relname) AS name,
               pg_total_relation_size(c.oid) AS bytes, pg_table_size(c.oid) AS table_bytes
        FROM owners JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm')
    ) measured WHERE bytes IS NOT NULL AND table_bytes IS NOT NULL
    ORDER BY bytes DESC, name LIMIT %(largest)s
"""
    }
)

_FOUND = Versions(
    {
        12: """
    SELECT c.oid::int8 AS oid, format('%I.%I', n.nspname, c.relname) AS name, quote_ident(n.nspname) AS schema,
           has_sequence_privilege(c.oid, 'SELECT, USAGE') AS readable
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT s.seqcycle AND NOT pg_is_other_temp_schema(n.oid)
          AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery())
    ORDER BY 2
"""
    }
)
_LAST_VALUES = """
    SELECT seqrelid::int8 AS oid, pg_sequence_last_value(seqrelid::regclass) AS last
    FROM pg_sequence WHERE seqrelid = ANY (%(oids)s::oid[])
"""

# A sequence feeds a column that owns it (serial, identity) or whose default uses it. A domain keeps the output function
# of its base type.
# In a range that contains 0, only values beyond 0 count as used, as in `last_value / max_value`.
_USED = Versions(
    {
        12: """
    WITH feeds AS (
        SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number FROM pg_depend d
             JOIN pg_sequence own ON own.seqrelid = d.objid
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
              AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
        UNION
        SELECT d.refobjid, e.adrelid, e.adnum FROM pg_depend d JOIN pg_attrdef e ON e.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
    ), columns AS (
        SELECT DISTINCT ON (f.sequence) f.sequence, n.nspname, c.relname, a.attname, a.atttypid, w.bits
        FROM feeds f JOIN pg_class c ON c.oid = f.relation JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.number JOIN pg_type t ON t.oid = a.atttypid
             CROSS JOIN LATERAL (SELECT CASE t.typoutput WHEN 'int2out'::regproc THEN 15
                                                         WHEN 'int4out'::regproc THEN 31 ELSE 63 END AS bits) w
        ORDER BY f.sequence, w.bits, c.oid, a.attnum
    ), counted AS (
        SELECT s.*, q.relname, n.nspname, c.nspname AS table_schema, c.relname AS table_name, c.attname,
               format_type(c.atttypid, NULL) AS column_type, sign(s.seqincrement) AS way,
               g.last,
               CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END AS own_limit,
               CASE s.seqtypid WHEN 'int2'::regtype THEN 15 WHEN 'int4'::regtype THEN 31 ELSE 63 END AS own_bits,
               coalesce(c.bits, 63) AS bits
        FROM unnest(%(oids)s::oid[], %(lasts)s::int8[]) AS g(oid, last) JOIN pg_sequence s ON s.seqrelid = g.oid
             JOIN pg_class q ON q.oid = g.oid JOIN pg_namespace n ON n.oid = q.relnamespace
             LEFT JOIN columns c ON c.sequence = q.oid
    ), limited AS (
        SELECT *, CASE WHEN way > 0 THEN least(own_limit, 2 ^ bits::numeric - 1)
                       ELSE greatest(own_limit, -(2 ^ bits::numeric)) END AS "limit",
               CASE WHEN way > 0 THEN 2 ^ own_bits::numeric - 1 ELSE -(2 ^ own_bits::numeric) END AS type_limit
        FROM counted
    ), measured AS (
        SELECT *, CASE WHEN way > 0 THEN greatest(seqmin - 1::numeric, CASE WHEN "limit" > 0 THEN 0 END)
                       ELSE least(seqmax + 1::numeric, CASE WHEN "limit" < 0 THEN 0 END) END AS origin,
               greatest(0, floor(("limit" - last) / seqincrement::numeric)) AS "left"
        FROM limited
    )
    SELECT nspname::text AS schema, relname::text AS name, format_type(seqtypid, NULL) AS type,
           table_schema::text AS table_schema, table_name::text AS "table", attname::text AS "column", column_type,
           last::int8 AS last_value, "limit"::int8 AS "limit", "left"::numeric::text AS "left",
           CASE WHEN bits < 63 AND "limit" <> own_limit THEN 'column' WHEN own_limit = type_limit THEN 'type'
                WHEN way > 0 THEN 'maxvalue' ELSE 'minvalue' END AS limited_by,
           CASE WHEN "left" = 0 OR "limit" = origin THEN 100
                ELSE least(100, greatest(0, 100 * (last - origin) / ("limit" - origin))) END::float8 AS used
    FROM measured ORDER BY used DESC, 1, 2 LIMIT %(most)s
"""
    }
)


def read_sizes(connection: Connection, query: ReadSizes) -> Sizes:
    place = one_row(connection, _PLACE)
    wanted = [place["current"]] if query.databases == () else query.databases
    found = _sizes(connection, None if wanted is None else list(wanted))
    return msgspec.convert(place | {"databases": found}, Sizes)


def _sizes(connection: Connection, names: list[str] | None) -> list[Row]:
    """Each database with its size; one by one where a concurrent drop fails the statement."""
    try:
        with connection.transaction():
            return rows(connection, _SIZES, {"names": names})
    except psycopg.Error as error:
        if error.sqlstate not in _GONE:
            raise
    found = rows(connection, _WITHOUT_SIZES, {"names": names})
    return [row for one in found for row in _sized(connection, one)]


def _sized(connection: Connection, row: Row) -> Iterator[Row]:
    """The database with its size; nothing when it was dropped since."""
    if row["bytes"] is None:
        yield row
        return
    try:
        with connection.transaction():
            yield row | one_row(connection, _ONE_SIZE, {"oid": row["oid"]})
    except psycopg.Error as error:
        if error.sqlstate not in _GONE:
            raise


def read_largest_relations(connection: Connection, query: LargestRelations) -> Relations:  # noqa: ARG001 - as every reader
    place = one_row(connection, _PLACE)
    largest = rows(connection, _RELATIONS, {"largest": _LARGEST})
    return msgspec.convert({"place": f"{place['system']}/{place['database_oid']}", "largest": largest}, Relations)


def read_sequences(connection: Connection, query: Sequences) -> SequencesAnswer:  # noqa: ARG001 - as every reader
    place = one_row(connection, _PLACE)
    found = rows(connection, _FOUND)
    readable = [row["oid"] for row in found if row["readable"]]
    hidden = [row for row in found if row["readable"] is False]  # None: it was dropped since
    answer = {
        "database": place["current"],
        "role": place["role"],
        "seen": len(readable),
        "most_used": _used(connection, readable),
        "hidden": len(hidden),
        "hidden_names": [row["name"] for row in hidden[:_NAMED]],
        "hidden_schemas": list(dict.fromkeys(row["schema"] for row in hidden)),
    }
    return msgspec.convert(answer, SequencesAnswer)


def _used(connection: Connection, oids: list[int]) -> list[Row]:
    """The most used of some sequences."""
    lasts = {row["oid"]: row["last"] for row in _last_values(connection, oids) if row["last"] is not None}
    parameters = {"oids": list(lasts), "lasts": list(lasts.values()), "most": _MOST_USED}
    return [row | {"left": int(row["left"])} for row in rows(connection, _USED, parameters)]


def _last_values(connection: Connection, oids: list[int]) -> Iterator[Row]:
    """The last value of each sequence, None for an unused one, one batch per transaction."""
    for start in range(0, len(oids), _SEQUENCES_AT_ONCE):
        if start:
            renew_transaction(connection)
        yield from rows(connection, _LAST_VALUES, {"oids": oids[start : start + _SEQUENCES_AT_ONCE]})
