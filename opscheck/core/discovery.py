"""
Discovery: what `opscheck init` hands to the systems, and what they propose for a first policy.

A system contributes a function, `System.discover`, which is called as `discover(given, look)`. It looks at what it
finds with the queries of its own checks, and returns targets and expectations as plain values.

- Limits come from the product's defaults or from physics. They are never loosened to fit what is broken today.
- A value of a variable is never written: a field holds `${NAME}`, and `reason` holds what was observed.
- Names that change by themselves, such as those of pods, are not written.
- What could not be looked at is said in `not_seen`, with the reason.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from math import floor, log10
from typing import Any, Protocol, TypeAlias

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.query import Query
from opscheck.core.target import Target
from opscheck.core.units import Severity

Value: TypeAlias = "str | int | float | bool | tuple[Value, ...] | Mapping[str, Value]"
"""A value as a policy writes it, such as `75%`, `5` or `{P2: 75%, P0: 90%}`."""

_OF_THE_CI = ("ACTIONS_", "BUILD_", "CI_", "GITHUB_", "GITLAB_", "HUDSON_", "JENKINS_", "JOB_", "RUN_", "RUNNER_")
_OF_A_TOOL = ("GOPROXY_", "NPM_", "PIP_", "POETRY_", "UV_")
_ADDRESS = re.compile(r"(?P<start>\w+?)_(?:URL|URI|DSN)")
_SAME = 1 - 1e-9
"""Floats that differ by less are the same."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, kw_only=True)
class ProposedTarget:
    """A target for the policy."""

    id: str
    """
    Its name in `targets`: a slug of the name that its source has for it, such as `database` of DATABASE_URL.

    Each target of a discovery has another one. Where the policy has the target under another name, it gets that one.
    """
    fields: Mapping[str, Value]
    """Its fields, `kind` among them. Secrets are written as `${NAME}`."""
    seen: str = ""
    """The comment above it: where it was found."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An expectation for the policy."""

    id: str
    """A slug of what it is about, such as `database-connections`; never a number that another proposal could shift."""
    check: str
    """The name of its check, such as `postgres.connections`."""
    target: str = ""
    """The id of a target of the same discovery; empty for a check without `target`, such as `tls.certificate`."""
    selector: "Mapping[str, Value | None]" = field(default_factory=dict)
    """
    The fields that identify the judged part, such as `{"path": "/health"}`. They are written, but for None.

    With check and target they are its identity: a policy that has such an expectation is not given another one. None
    means that the field must be absent there: an expectation of one role is none of the whole server.
    """
    fields: Mapping[str, Value] = field(default_factory=dict)
    """Its other fields: mostly limits."""
    severity: Severity | None = None
    """Needed where a limit has no severity of its own."""
    tags: tuple[str, ...] = ()
    reason: str
    """The comment above it: the observed state, and the reason for the limit. One or two sentences."""


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """The targets and proposals of one system."""

    targets: tuple[ProposedTarget, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    not_seen: tuple[str, ...] = ()
    """Parts that could not be looked at and why, a sentence each: `database: replicas not read: permission denied`."""

    @classmethod
    def together(cls, found: "Iterable[Discovery]") -> "Discovery":
        """Several discoveries as one; each sentence once."""
        every = list(found)
        return cls(
            targets=tuple(one for each in every for one in each.targets),
            proposals=tuple(one for each in every for one in each.proposals),
            not_seen=tuple(dict.fromkeys(one for each in every for one in each.not_seen)),
        )


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The part of a kubeconfig to look at; None where nothing was chosen."""

    context: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service of a compose file."""

    name: str
    image: str
    ports: Mapping[int, int] = field(default_factory=dict)
    """Published ports of this machine, by the port inside the container."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its variables as the file has them. The names may be written, the values never."""
    has_healthcheck: bool = False


@dataclass(frozen=True, kw_only=True)
class DiscoveryInput:
    """The sources that the command chose."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables by name. Their values are there to connect with, and never to write. Empty where not chosen."""
    cluster: Cluster | None = None
    """The kubeconfig's context and namespace; None where not chosen."""
    services: tuple[Service, ...] = ()
    """The services of the compose file; empty where not chosen."""
    host: bool = False
    """True where the mounts of this machine are to be looked at."""
    today: date


class Look(Protocol):
    """Sends queries through the gathering that runs use: the same probes, deadlines and read-only sessions."""

    def __call__(self, target: ProposedTarget | Target, queries: Iterable[Query[Any]]) -> Observe:
        """
        Send `queries` to a target, all of them together, and return their answers.

        The queries name the target by its `id` (its `name`). The result raises CouldNotObserve for a query without
        an answer; `not_read` makes a sentence of it. Look once per target where possible: queries are concurrent.
        """
        ...


class Discoverer(Protocol):
    """The function that `System.discover` names as `module:function`."""

    def __call__(self, given: DiscoveryInput, look: Look) -> Discovery:
        """Look at those sources that the system knows. It reads only, and raises nothing for a missing answer."""
        ...


@dataclass(frozen=True)
class Variable:
    """An environment variable whose value is an address."""

    name: str
    scheme: str
    """Of the value, in lower case, such as `postgresql`; empty where the value has none."""
    value: str = field(repr=False)
    id: str
    """A slug of the name, without the `_URL`: `cache` of CACHE_URL."""

    @property
    def reference(self) -> str:
        """The variable as a policy writes it."""
        return f"${{{self.name}}}"


def slug(text: str) -> str:
    """`text` as an id: lower case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def variables(environment: Mapping[str, str]) -> Iterator[Variable]:
    """
    The variables whose names end in _URL, _URI or _DSN, sorted by the id.

    Variables of CI systems and package managers are left out: they do not name a system to check. Of several with
    one value there is the first.
    """
    found = {name: match["start"] for name in sorted(environment) if (match := _ADDRESS.fullmatch(name))}
    found = {name: start for name, start in found.items() if slug(start) and environment[name]}
    ids: dict[str, list[str]] = {}
    seen: set[str] = set()
    for name in [name for name in found if not name.startswith(_OF_THE_CI + _OF_A_TOOL)]:
        if environment[name] not in seen:
            seen.add(environment[name])
            ids.setdefault(slug(found[name]), []).append(name)
    for short, names in sorted(ids.items()):
        for name in names:
            value = environment[name]
            scheme = _SCHEME.match(value)
            yield Variable(name, scheme[1].lower() if scheme else "", value, short if len(names) == 1 else slug(name))


def not_read(target: str, what: str, error: CouldNotObserve) -> str:
    """A sentence for `not_seen`: `database: replicas not read: permission denied; GRANT …`."""
    problem = error.problem
    return f"{target}: {what} not read: {problem.text}" + (f"; {problem.advice}" if problem.advice else "")


def headroom(observed: float, default: float) -> float:
    """A limit for a value that depends on what was seen: twice that, at least `default`, rounded up to 1, 2 or 5."""
    wanted = max(default, 2 * observed)
    power = 10.0 ** floor(log10(wanted))
    return next(rounded for step in (1, 2, 5, 10) if (rounded := float(f"{step * power:.3g}")) >= wanted * _SAME)
