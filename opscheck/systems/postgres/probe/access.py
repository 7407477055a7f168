"""Reads the rights of the dsn's role."""

from opscheck.systems.postgres.probe.statements import reading

# The session user, not the role of SET ROLE: RESET ROLE is always possible.
_OWN_ROLE = """
    WITH own AS MATERIALIZED (SELECT * FROM pg_roles WHERE rolname = session_user),
    writable AS MATERIALIZED (
        SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, own
        WHERE c.relkind IN ('r', 'p', 'f', 'v') AND NOT own.rolsuper
          AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
          AND has_schema_privilege(own.oid, n.oid, 'USAGE')
          AND has_table_privilege(own.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
    )
    SELECT own.rolname::text AS name, own.rolsuper AS superuser, own.oid = 10 AS bootstrap,
           (SELECT coalesce(array_agg(attribute ORDER BY attribute), '{}') FROM unnest(
               ARRAY['CREATEROLE', 'CREATEDB', 'REPLICATION', 'BYPASSRLS'],
               ARRAY[own.rolcreaterole, own.rolcreatedb, own.rolreplication, own.rolbypassrls]
           ) AS each (attribute, granted) WHERE granted AND NOT own.rolsuper) AS attributes,
           (SELECT coalesce(array_agg(r.rolname::text ORDER BY r.rolname), '{}') FROM pg_roles r
            WHERE NOT own.rolsuper AND (r.rolsuper OR r.rolname = ANY (%(acting)s))
              AND pg_has_role(own.oid, r.oid, 'MEMBER')) AS roles,
           (SELECT coalesce(array_agg(datname::text ORDER BY datname), '{}') FROM pg_database
            WHERE NOT own.rolsuper AND pg_has_role(own.oid, datdba, 'MEMBER')) AS owned,
           (SELECT coalesce(array_agg(name), '{}') FROM (SELECT * FROM writable ORDER BY 1 LIMIT 5) few) AS writable,
           (SELECT count(*) FROM writable) AS writable_count
    FROM own
"""
# Predefined roles of all versions that allow more than reading.
_ACTING_ROLES = [
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_signal_backend",
    "pg_signal_autovacuum_worker",
    "pg_checkpoint",
    "pg_maintain",
    "pg_create_subscription",
]
read_own_role = reading(_OWN_ROLE, acting=_ACTING_ROLES)
