"""The settings of a PostgreSQL server."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeAlias

import msgspec

from opscheck import Duration, Findings, Observe, Remedy
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.record import Finding
from opscheck.core.words import counted
from opscheck.systems.postgres import releases
from opscheck.systems.postgres.databases import each_database, in_psql
from opscheck.systems.postgres.server import identifier
from opscheck.systems.postgres.setting_rules import (
    NotComparableError,
    Setting,
    SettingRule,
    keeps,
    shown,
    wanted,
)
from opscheck.systems.postgres.settings import (
    CREATE_EXTENSION,
    DROP_DATABASE,
    EDIT,
    ENABLE_CHECKSUMS,
    FALLBACKS,
    INSTALL_FILES,
    REFRESH_COLLATION,
    REINDEX,
    SET,
    SET_AND_RESTART,
    SHOW_CORRUPT,
    SHOW_FILE_ERRORS,
    SHOW_PENDING,
    UPDATE_EXTENSION,
    UPGRADE,
    ListCollations,
    ListExtensions,
    ListFileErrors,
    PostgresSettings,
    ReadSettings,
    Release,
    Settings,
)

# ALTER SYSTEM needs their elements one by one.
_LISTS = frozenset(
    {
        "shared_preload_libraries",
        "session_preload_libraries",
        "local_preload_libraries",
        "search_path",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
_VERSIONS_RECORDED_SINCE = 15
_ONE_VERSION = "the same version; otherwise indexes miss existing rows"
# Minor releases appear every three months; the end of a major version is fixed at its release.
_NEWEST_KNOWN_FOR, _END_KNOWN_FOR = 183, 730
_DAY = 86_400

Group: TypeAlias = Callable[[PostgresSettings, Observe], Iterator[Finding]]
"""The findings of a group, each at the expectation's severity or at its rule's."""


def test_server_is_configured_as_required(expectation: PostgresSettings, observe: Observe, findings: Findings) -> None:
    """
    The server is configured as the policy requires.

    A changed setting, or one that waits for a restart, shows at the worst moment: commits that were not on disk, an
    index that misses rows after an upgrade of the system, a release without fixes.
    """
    groups: tuple[tuple[str, Group], ...] = (
        *(("settings", partial(_setting, name, rule)) for name, rule in (expectation.settings or {}).items()),
        ("pending_restart", _pending_restarts),
        ("configuration_files", _file_errors),
        ("checksums", _checksums),
        ("checksum_failures", _checksum_failures),
        ("collations", _collations),
        ("collations", _column_collations),
        ("invalid_databases", _invalid_databases),
        ("extensions", _extensions),
        ("outdated_extensions", _outdated),
    )
    judge_all(
        *(partial(_report, expectation, observe, findings, *group) for group in groups),
        lambda: _judge_end_of_life(expectation, observe, findings),
        lambda: _judge_minor_releases(expectation, observe, findings),
    )
    faults = len(findings.violations)
    findings.measure("faults", faults, limit=0, margin=-faults)


def _report(expectation: PostgresSettings, observe: Observe, findings: Findings, name: str, group: Group) -> None:
    """Report the findings of a group that the policy names; rules may have their own severity."""
    wanted = getattr(expectation, name)
    if wanted is None:
        return
    for finding in group(expectation, observe):
        own = finding.severity if isinstance(wanted, dict) else expectation.severity_of(wanted)
        findings.report(msgspec.structs.replace(finding, severity=own))


def _setting(name: str, rule: SettingRule, expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    """The setting, if it violates its rule. Raises CouldNotObserve where it cannot be judged."""
    query = expectation.read_settings
    answer = observe(query)
    there = {setting.name.lower(): setting for setting in answer.settings}
    setting = there.get(name.lower())
    if setting is None:
        text = f"setting {name} does not exist in this version, or its extension is not loaded"
        similar = get_close_matches(name, there, n=1)
        advice = f"did you mean {similar[0]}?" if similar else f"remove {name} from `settings` for this server"
        raise _unsupported(query, text, advice)
    effective = _effective(setting, there)
    _require_visible(query, answer, effective)
    try:
        if keeps(effective, rule):
            return
    except NotComparableError as error:
        raise _unsupported(query, str(error), f"correct `settings.{name}`") from None
    value = None if setting.context == "internal" or setting.name in _LISTS else wanted(rule)
    remedy = SET_AND_RESTART if setting.context == "postmaster" else SET
    yield expectation.finding(
        subject=f"setting {setting.name}",
        observed=f"{setting.name} is {shown(effective)}{_origin(setting, effective)}",
        expected=rule.words,
        severity=rule.severity,
        remedies=(EDIT if value is None else remedy,),
        facts={"setting": setting.name} | ({} if value is None else {"wanted": value}),
    )


def _effective(setting: Setting, there: dict[str, Setting]) -> Setting:
    """The setting with its effective value: -1 may refer to another setting."""
    other = there.get(FALLBACKS.get(setting.name, ""))
    if other is None or setting.value != "-1":
        return setting
    return msgspec.structs.replace(setting, value=other.value, unit=other.unit)


def _require_visible(query: ReadSettings, answer: Settings, setting: Setting) -> None:
    """Raises CouldNotObserve where the value differs from the clients' value."""
    name = setting.name
    if setting.own:
        text = f"{name} is set by opscheck's role {answer.role} or its dsn, which hides the value of other clients"
        advice = f"ALTER ROLE {identifier(answer.role)} RESET {name}, and remove it from the dsn"
        raise _unsupported(query, text, advice)
    if setting.masked:
        text = f"{name} seems to contain a secret, which opscheck does not read"
        raise _unsupported(query, text, f"remove {name} from `settings`")


def _origin(setting: Setting, effective: Setting) -> str:
    if effective is not setting:
        return f" (from {FALLBACKS[setting.name]}: {setting.name} is -1)"
    if setting.source == "session":  # opscheck's own transaction sets it, which hides its source
        return ""
    return f" ({f'set in {setting.place}' if setting.place else setting.source})"


def _pending_restarts(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    for setting in observe(expectation.read_settings).settings:
        if setting.pending_restart:
            yield expectation.finding(
                subject=f"setting {setting.name}",
                observed=f"{setting.name} is {shown(setting)}, and changes at the next restart",
                expected="no change that waits for a restart",
                evidence=(f"set in {setting.place}",) if setting.place else (),
                remedies=(SHOW_PENDING,),
                facts={"setting": setting.name},
            )


def _file_errors(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    for one in observe(ListFileErrors(expectation.target.name)).errors:
        yield expectation.finding(
            subject=f"{one.file}:{one.line}",
            observed=f"{one.name}: {one.error}" if one.name else one.error,
            expected="a line that the server accepts",
            remedies=(SHOW_FILE_ERRORS,),
        )


def _checksums(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    if not observe(expectation.state).checksums:
        yield expectation.finding(
            subject="data checksums",
            observed="off: disk corruption is not detected",
            expected="on (pg_checksums --enable while the server is stopped)",
            remedies=(ENABLE_CHECKSUMS,),
        )


def _checksum_failures(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    """The databases with checksum failures. Raises CouldNotObserve where failures are not detected."""
    state = observe(expectation.state)
    for one in state.failures:
        yield expectation.finding(
            subject="shared catalogs" if one.database is None else f"database {one.database}",
            observed=counted(one.count, "checksum failure"),
            expected="none since statistics were reset",
            since=None if one.last is None else datetime.fromtimestamp(one.last, UTC),
            remedies=(SHOW_CORRUPT,),
        )
    if not state.checksums:
        text = "data checksums are off: failures are not detected"
        advice = "run pg_checksums --enable, or remove `checksum_failures`"
        raise _unsupported(expectation.state, text, advice)


def _collations(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    """The databases with a changed collation. Raises CouldNotObserve where versions are not recorded."""
    state = observe(expectation.state)
    for one in state.databases:
        if one.recorded is not None and one.actual is not None and one.recorded != one.actual:
            yield expectation.finding(
                subject=f"database {one.name}",
                observed=f"collation version is {one.actual}, indexes were built with {one.recorded}",
                expected=_ONE_VERSION,
                **in_psql(one.name, REINDEX),
            )
    silent = [one for one in state.databases if one.needs_version]
    if silent:
        first = f"PostgreSQL {state.major} does not record the version of the collation {silent[0].collation}"
        text = f"{first} of database {silent[0].name}; {_VERSIONS_RECORDED_SINCE} and later do"
        raise _unsupported(expectation.state, text, "remove `collations`, or upgrade")


def _column_collations(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    for _, answer in each_database(expectation, observe, ListCollations):
        for one in answer.changed:
            yield expectation.finding(
                subject=f"collation {one.name} in database {answer.database}",
                observed=f"version is {one.actual}, indexes were built with {one.recorded}",
                expected=_ONE_VERSION,
                **in_psql(answer.database, REFRESH_COLLATION, collation=one.name),
            )


def _invalid_databases(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    for one in observe(expectation.state).databases:
        if one.invalid:
            yield expectation.finding(
                subject=f"database {one.name}",
                observed="leftover of an interrupted DROP DATABASE: it takes space and accepts no connections",
                expected="a complete database, or none",
                remedies=(DROP_DATABASE,),
                facts={"database": one.name},
            )


def _extensions(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    """The extensions that are missing, or have another version."""
    for _, answer in each_database(expectation, observe, ListExtensions):
        there = {one.name: one for one in answer.extensions}
        for name, rule in (expectation.extensions or {}).items():
            found = there.get(name)
            installed = None if found is None else found.installed
            if installed is not None and _is_version(installed, rule.version):
                continue
            remedy = INSTALL_FILES if found is None else CREATE_EXTENSION if installed is None else UPDATE_EXTENSION
            observed = "not installed" if installed is None else f"version {installed}"
            yield expectation.finding(
                subject=f"extension {name} in database {answer.database}",
                observed=observed + ("; the server has no files of it" if found is None else ""),
                expected="installed" if rule.version == "any" else rule.version,
                severity=rule.severity,
                **_extension_remedy(answer.database, name, remedy),
            )


def _outdated(expectation: PostgresSettings, observe: Observe) -> Iterator[Finding]:
    """The extensions that could be updated."""
    for _, answer in each_database(expectation, observe, ListExtensions):
        for one in answer.extensions:
            if one.installed is None or one.installed == one.available:
                continue
            gone = one.available is None
            yield expectation.finding(
                subject=f"extension {one.name} in database {answer.database}",
                observed=f"version {one.installed}",
                expected="its files on the server" if gone else f"{one.available}, the version of the server's files",
                **_extension_remedy(answer.database, one.name, INSTALL_FILES if gone else UPDATE_EXTENSION),
            )


def _extension_remedy(database: str, name: str, remedy: Remedy) -> dict[str, Any]:
    can = {} if remedy is INSTALL_FILES else in_psql(database, remedy, extension=name)
    return can or {"remedies": (INSTALL_FILES,)}


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


def _judge_end_of_life(expectation: PostgresSettings, observe: Observe, findings: Findings) -> None:
    """The time until the major version's end of life. Raises CouldNotObserve where that is unknown."""
    limit = expectation.end_of_life
    if limit is None:
        return
    state, today = observe(expectation.state), observe.now.date()
    own = expectation.releases.get(state.major, Release()).end_of_life
    end = own or releases.END_OF_LIFE.get(state.major)
    if end is None:
        text = f"the end of life of PostgreSQL {state.major} is unknown"
        raise _unsupported(expectation.state, text, "set its `end_of_life` in `releases`")
    here = findings.on(f"PostgreSQL {state.major}.{state.minor}")
    left = Duration((end - today).days * _DAY)
    severity = here.grade("time until end of life", left, limit, detail=f"on {end}", remedies=(UPGRADE,))
    if own is None and severity is None:
        _require_recent(expectation, today, _END_KNOWN_FOR, "ends of life", "end_of_life")


def _judge_minor_releases(expectation: PostgresSettings, observe: Observe, findings: Findings) -> None:
    """The number of newer minor releases. Raises CouldNotObserve where that is unknown."""
    limit = expectation.minor_releases_behind
    if limit is None:
        return
    state = observe(expectation.state)
    own = expectation.releases.get(state.major, Release()).newest_minor
    newest = own or releases.NEWEST.get(state.major)
    if newest is None:
        text = f"the newest minor release of PostgreSQL {state.major} is unknown"
        raise _unsupported(expectation.state, text, "set its `newest_minor` in `releases`")
    newer = set(range(state.minor + 1, newest + 1)) - releases.NEVER_RELEASED.get(state.major, set())
    here = findings.on(f"PostgreSQL {state.major}.{state.minor}")
    detail = f"the newest known is {state.major}.{newest}"
    severity = here.grade("minor releases behind", len(newer), limit, detail=detail, remedies=(UPGRADE,))
    if own is None and severity is None:
        _require_recent(expectation, observe.now.date(), _NEWEST_KNOWN_FOR, "minor releases", "newest_minor")


def _require_recent(expectation: PostgresSettings, today: date, days: int, what: str, field: str) -> None:
    """Raises CouldNotObserve where a newer table of releases might change a pass."""
    if (today - releases.KNOWN_ON).days > days:
        text = f"opscheck's table of {what} is from {releases.KNOWN_ON}, too old for a pass"
        raise _unsupported(expectation.state, text, f"upgrade opscheck, or set `{field}` in `releases`")


def _unsupported(query: Query[Any], text: str, advice: str) -> CouldNotObserve:
    return CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
