"""`opscheck init`: look, compare with what the policy has, write, and try what was written."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from opscheck.core.discovery import Discovery, DiscoveryInput, variables
from opscheck.core.exit_codes import UserError
from opscheck.core.redaction import Secrets
from opscheck.core.registry import Registry
from opscheck.core.units import Duration
from opscheck.discovery.drafting import Drafted, drafted, values_of
from opscheck.discovery.known import Known, read_known
from opscheck.discovery.looking import Looking
from opscheck.discovery.policy_text import new_policy, with_drafted, with_waivers
from opscheck.discovery.trial import Trial, last_day, tried, waivers
from opscheck.transport.files import write_whole

_NEEDED = re.compile(r"(?<!\$)\$\{(\w+)\}")
_SECRET_NAME = re.compile(r"PASS|PWD|TOKEN|SECRET|KEY|AUTH|CREDENTIAL|SALT", re.IGNORECASE)


class Mode(StrEnum):
    """The use of the proposals."""

    NEW = "new"
    ADD = "add"
    DIFF = "diff"
    PRINT = "print"
    """A new policy on standard output."""


@dataclass(frozen=True, kw_only=True)
class Waive:
    """The duration and the owner of waivers for current violations."""

    span: Duration
    owner: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The proposals, and their use."""

    mode: Mode
    file: Path
    draft: Drafted
    not_seen: tuple[str, ...]
    before: str
    after: str
    """The policy with what it lacked."""
    trial: Trial | None = None
    """None where the policy was not run."""
    unset: tuple[str, ...] = ()
    """Variables that new targets need and that are not set."""
    waived: tuple[str, ...] = ()
    """The ids of expectations that have a waiver now."""

    @property
    def found_nothing(self) -> bool:
        """True where nothing is to be proposed, and the policy has nothing of it already."""
        return not (self.draft.proposals or self.draft.covered or self.draft.declined)

    @property
    def diff(self) -> str:
        """The missing entries, as a unified diff."""
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        lines = difflib.unified_diff(before, after, str(self.file), f"{self.file} (proposed)")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def initialise(  # noqa: PLR0913 - the command's options, by name
    given: DiscoveryInput,
    environ: Mapping[str, str],
    *,
    mode: Mode,
    file: Path,
    waive: Waive | None = None,
    problems: Iterable[str] = (),
) -> Outcome:
    """Do what the command says. Raises UserError."""
    known = read_known(file, environ) if mode in {Mode.ADD, Mode.DIFF} else Known()
    registry, secrets = Registry.bundled(), _secrets(given)
    looking = Looking(registry, environ, secrets)
    found = [discover(given, looking) for discover in registry.discoverers().values()]
    draft = _clean(drafted([_usable(one, looking) for one in found], known, registry, looking.expanded), secrets)
    head = known.text or new_policy((given.cluster and given.cluster.namespace) or "default", given.today)
    outcome = Outcome(
        mode=mode,
        file=file,
        draft=draft,
        not_seen=tuple(secrets.clean(text) for text in (*problems, *_not_seen(given, found, looking))),
        before=known.text,
        unset=tuple(sorted(_unset(draft, environ))),
        after=with_drafted(head, draft, given.today, str(file)) if draft.proposals else known.text,
    )
    return _written(outcome, known, given.today, waive, secrets) if mode in {Mode.NEW, Mode.ADD} else outcome


def _written(outcome: Outcome, known: Known, today: date, waive: Waive | None, secrets: Secrets) -> Outcome:
    """Write the policy where it lacked something, run it, and waive its violations where `waive` is given."""
    if outcome.found_nothing or not (outcome.draft.proposals or waive):
        return outcome
    if outcome.draft.proposals:
        _write(outcome.file, outcome.after)
    trial = tried(outcome.file, secrets)
    outcome = replace(outcome, trial=trial)
    if waive is None:
        return outcome
    if trial.failed:
        raise UserError(f"{outcome.file}: no waivers were written, because the policy could not be run: {trial.failed}")
    new = [
        waiver
        for waiver in waivers(trial, waive.owner, last_day(today, waive.span), today)
        if waiver["id"] not in known.waived
    ]
    if new:
        _write(outcome.file, with_waivers(outcome.after, new, str(outcome.file)))
    return replace(outcome, waived=tuple(waiver["id"] for waiver in new))


def _unset(draft: Drafted, environ: Mapping[str, str]) -> Iterator[str]:
    values = (str(value) for target in draft.targets for value in target.fields.values())
    return (name for value in values for name in _NEEDED.findall(value) if not environ.get(name))


def _write(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    try:
        write_whole(path, text.encode(), mode=mode)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _secrets(given: DiscoveryInput) -> Secrets:
    """The values that no output may have."""
    secrets = Secrets()
    for variable in variables(given.environment):
        secrets.add(variable.value, variable.reference)
        for part in _places(variable.value):
            secrets.add(part, variable.reference)
    for service in given.services:
        for name, value in service.environment.items():
            # The name of a database or a user is an ordinary word, which comments may have.
            if _SECRET_NAME.search(name) or "://" in value:
                secrets.add(value)
    return secrets


def _places(url: str) -> Iterator[str]:
    """Host and port of a URL, and a host with a dot alone; another host may be an ordinary word."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield parts.netloc.rpartition("@")[2]
    if parts.hostname and "." in parts.hostname:
        yield parts.hostname


def _clean(draft: Drafted, secrets: Secrets) -> Drafted:
    """The same without a secret in its comments, which say what was seen."""
    return replace(
        draft,
        targets=tuple(replace(one, seen=secrets.clean(one.seen)) for one in draft.targets),
        proposals=tuple(replace(one, reason=secrets.clean(one.reason)) for one in draft.proposals),
    )


def _usable(found: Discovery, looking: Looking) -> Discovery:
    """A discovery without the targets that no policy may have here."""
    return replace(
        found,
        targets=tuple(one for one in found.targets if one.id not in looking.not_usable),
        proposals=tuple(one for one in found.proposals if one.target not in looking.not_usable),
    )


def _not_seen(given: DiscoveryInput, found: Iterable[Discovery], looking: Looking) -> list[str]:
    """Sentences on what could not be looked at, each once."""
    sentences = [sentence for one in found for sentence in one.not_seen]
    for target, problem in looking.not_usable.items():
        advice = f"; {problem.advice}" if problem.advice else ""
        sentences.append(f"{target}: not proposed: {problem.text}{advice}")
    mentioned = " ".join(
        [*sentences, *(str(one) for each in found for one in (*each.targets, *map(values_of, each.proposals)))]
    )
    for variable in variables(given.environment):
        if variable.name not in mentioned and f"{variable.id}:" not in mentioned:
            scheme = f"for {variable.scheme}:// addresses" if variable.scheme else "for it: it has no scheme"
            sentences.append(f"{variable.name}: no check {scheme}")
    return list(dict.fromkeys(sentences))
