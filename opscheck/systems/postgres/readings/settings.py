"""Which settings are not what they should be."""

from collections.abc import Iterator
from difflib import get_close_matches

import msgspec

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.postgres.readings.facts import Trouble
from opscheck.systems.postgres.server import identifier
from opscheck.systems.postgres.setting_rules import NotComparableError, Setting, SettingRule, keeps, shown, wanted
from opscheck.systems.postgres.settings import FALLBACKS, PostgresSettings, Settings

_RESTART = "postmaster"
# They take lists, which ALTER SYSTEM wants one element after the other; or nothing can set them.
_NOT_SET_SO = frozenset({"internal"})
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


def wrong_settings(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """The settings that break their rules; at the end raises CouldNotObserve for the first that cannot be judged."""
    if expectation.settings is None:
        return
    answer = observe(expectation.asked_settings)
    there = {setting.name.lower(): setting for setting in answer.settings}
    missing: Problem | None = None
    for name, rule in expectation.settings.items():
        judged = _judged(answer, there, name, rule, expectation)
        if isinstance(judged, Problem):
            missing = missing or judged
        elif judged is not None:
            yield judged
    if missing is not None:
        raise CouldNotObserve(expectation.asked_settings, missing)


def pending_restarts(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """The settings that wait for a restart."""
    if expectation.pending_restart is None:
        return
    for setting in observe(expectation.asked_settings).settings:
        if setting.pending_restart:
            yield Trouble(
                subject=f"setting {setting.name}",
                observed=f"{setting.name} is {shown(setting)}, and something else after a restart",
                expected="no change that waits for a restart",
                severity=expectation.severity_of(expectation.pending_restart),
                evidence=(f"it was set in {setting.place}",) if setting.place else (),
                facts={"pending_setting": setting.name},
            )


def file_errors(expectation: PostgresSettings, observe: Observe) -> Iterator[Trouble]:
    """The lines of configuration files that the server would not accept."""
    if expectation.configuration_files is None:
        return
    for one in observe(expectation.files).errors:
        place = f"{one.file}:{one.line}"
        yield Trouble(
            subject=place,
            observed=f"{one.name}: {one.error}" if one.name else one.error,
            expected="a line that the server accepts",
            severity=expectation.severity_of(expectation.configuration_files),
            facts={"bad_line": place},
        )


def _judged(
    answer: Settings, there: dict[str, Setting], name: str, rule: SettingRule, expectation: PostgresSettings
) -> Trouble | Problem | None:
    setting = there.get(name.lower())
    if setting is None:
        return _absent(name, there)
    effective = _effective(setting, there)
    if hidden := _hidden(answer, effective):
        return hidden
    try:
        if keeps(effective, rule):
            return None
    except NotComparableError as error:
        return Problem(kind=ProblemKind.UNSUPPORTED, text=str(error), advice=f"correct `settings.{name}`")
    return Trouble(
        subject=f"setting {setting.name}",
        observed=f"{setting.name} is {shown(effective)}{_origin(setting, effective)}",
        expected=rule.words,
        severity=rule.severity or expectation.ungraded_severity,
        facts=_facts(setting, rule),
    )


def _effective(setting: Setting, there: dict[str, Setting]) -> Setting:
    """The setting with the value that counts: -1 may mean that another one does."""
    other = there.get(FALLBACKS.get(setting.name, ""))
    if other is None or setting.value != "-1":
        return setting
    return msgspec.structs.replace(setting, value=other.value, unit=other.unit)


def _hidden(answer: Settings, setting: Setting) -> Problem | None:
    """Why the value that was read is not the one that clients have."""
    name = setting.name
    if setting.own:
        text = f"{name} is set for opscheck itself, by its role {answer.role} or its dsn: what others have is hidden"
        advice = f"ALTER ROLE {identifier(answer.role)} RESET {name}, and leave it out of the dsn"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)
    if setting.masked:
        text = f"{name} holds what looks like a secret, which opscheck does not read"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=f"leave {name} out of `settings`")
    return None


def _absent(name: str, there: dict[str, Setting]) -> Problem:
    text = f"there is no setting {name}: this version does not know it, or its extension is not loaded"
    near = get_close_matches(name, there, n=1)
    advice = f"did you mean {near[0]}?" if near else f"leave {name} out of `settings` for this server"
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)


def _origin(setting: Setting, effective: Setting) -> str:
    if effective is not setting:
        return f" ({setting.name} is -1: {FALLBACKS[setting.name]} counts)"
    if setting.source == "session":  # opscheck's own transaction sets it, and so hides where it comes from
        return ""
    return f" ({f'set in {setting.place}' if setting.place else setting.source})"


def _facts(setting: Setting, rule: SettingRule) -> dict[str, str]:
    value = wanted(rule)
    if value is None or setting.context in _NOT_SET_SO or setting.name in _LISTS:
        return {}
    restart = "restart_" if setting.context == _RESTART else ""
    return {f"{restart}setting": setting.name, f"{restart}wanted": value}
