"""Loading a policy: its files first, and its expectations when their checks are known."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from opscheck.core.expectation import Expectation
from opscheck.core.record import Source
from opscheck.core.redaction import Secrets
from opscheck.core.registry import Registry
from opscheck.core.target import Target
from opscheck.core.units import Duration
from opscheck.policy.consistency import (
    check_commands,
    check_environment,
    check_escalation,
    check_ids,
    check_names,
    check_severities,
    check_waivers,
    waiver_notices,
)
from opscheck.policy.distributions import add_used, hint_to_use, owner_of_system
from opscheck.policy.errors import Issues, PolicyError
from opscheck.policy.inline_secrets import register_secrets
from opscheck.policy.layers import read_layers
from opscheck.policy.models import Policy, PolicyFile
from opscheck.policy.nodes import Mapping as MappingNode
from opscheck.policy.nodes import Sequence, items_of, plain, text_of
from opscheck.policy.suggestions import nearest
from opscheck.policy.targets import Targets, refuse_missing, with_own_targets
from opscheck.policy.validation import Explainer, validated
from opscheck.policy.variables import Variables, public_names, replaced

_TIMEOUT_WHERE_NONE_IS_SAID = Duration.parse("5s")
_CHECKED_IN_EACH_FILE = frozenset({"version", "extends"})


def read_policy(  # noqa: PLR0913 - how a policy is read, by name
    path: Path,
    *,
    below: Iterable[Path] = (),
    environ: Mapping[str, str] = os.environ,
    keep_unset: bool = False,
    registry: Registry | None = None,
    layer_allowed: bool = False,
) -> "Draft":
    """
    Read a policy with all files that it extends, and replace its variables.

    Raises PolicyError when a file cannot be read. `Draft.finish` raises all other errors, including those
    of expectations. With `keep_unset` a reference to an unset variable stays.
    `registry` has the systems before the policy's `uses`; by default the bundled ones. With `layer_allowed` a file
    with neither `environment` nor `expectations` is valid: other policies extend it. The policy extends the files
    `below` too, in this order.
    """
    secrets = Secrets()

    def variables(public: list[str]) -> Variables:
        return Variables(environ, secrets, public, keep_unset=keep_unset)

    try:
        layers = read_layers(path, variables, below)
    except PolicyError as error:
        raise PolicyError(issue.without(secrets) for issue in error.issues) from None
    root, issues = replaced(layers.root, variables(public_names(layers.root)))
    issues_so_far = Issues(root, [*layers.issues, *issues])
    known = registry or Registry.bundled()
    return Draft(
        path, layers.sha256, secrets, issues_so_far, known, asks_targets=not keep_unset, layer_allowed=layer_allowed
    )


@dataclass(frozen=True)
class _Entry:
    index: int
    node: MappingNode

    @property
    def id(self) -> str | None:
        return text_of(self.node.items.get("id"))

    @property
    def check(self) -> str | None:
        return text_of(self.node.items.get("check"))

    @property
    def path(self) -> tuple[str | int, ...]:
        return ("expectations", self.index)

    @property
    def source(self) -> Source:
        place = self.node.place
        return Source(file=place.file, line=place.line)


class Draft:
    """
    A policy whose files were read. Expectations are validated as their kinds become known.

    What is wrong is kept, and `finish` raises all of it at once.
    """

    def __init__(  # noqa: PLR0913 - the parts that were read, by name
        self,
        path: Path,
        sha256: str,
        secrets: Secrets,
        issues: Issues,
        registry: Registry,
        *,
        asks_targets: bool = True,
        layer_allowed: bool = False,
    ) -> None:
        self.path = path
        self._asks_targets = asks_targets
        self.secrets = secrets
        self._sha256 = sha256
        self._issues = issues
        self.registry = registry
        self._sections = _read_sections(issues)
        self.uses = add_used(self.registry, issues)
        self._targets = Targets(issues, secrets, self.registry)
        self.is_layer = layer_allowed and not {"environment", "expectations"} & set(issues.root.items)
        """True for a layer, which other policies extend and which cannot be run itself."""
        self._entries = [] if self.is_layer else list(_read_entries(issues))
        # A timeout gets no default here: the target's own overrides the policy's.
        self._defaults = self._sections.defaults.model_dump(exclude={"timeout"}, exclude_none=True)
        self._made: dict[type[Expectation], dict[int, Expectation]] = {}
        for check in (check_severities, check_ids, check_names, *(() if self.is_layer else (check_environment,))):
            check(issues)

    @property
    def environment(self) -> str:
        """The policy's environment; empty when invalid."""
        return self._sections.environment or ""

    def check_names(self) -> set[str]:
        """The names of all checks that the policy uses."""
        return {entry.check for entry in self._entries if entry.check is not None}

    def unknown_checks(self) -> set[str]:
        """The names of unknown checks so far."""
        return self.check_names() - set(self.registry.checks)

    def entries(self, kind: type[Expectation]) -> list[Expectation]:
        """The valid expectations of this kind, in policy order. Errors are kept for `finish`."""
        return list(self._by_index(kind).values())

    def ids_of_unknown_checks(self) -> list[str]:
        """The ids of entries with an unknown check so far."""
        unknown = self.unknown_checks()
        return [entry.id for entry in self._entries if entry.id is not None and entry.check in unknown]

    def finish(self, *, today: date, strict: bool = False, without_unknown: bool = False) -> Policy:
        """
        The whole policy. With `strict`, an expired waiver is an error instead of a notice.

        With `without_unknown` the entries whose check is unknown are left out: the caller accounts for them.

        Raises PolicyError with all errors.
        """
        kinds = [kind for name in self.check_names() if (kind := self.registry.expectation_type(name)) is not None]
        made = {index: one for kind in kinds for index, one in self._by_index(kind).items()}
        targets = self._targets.known()
        # Errors of this call are not kept: a later call may know more kinds.
        issues = self._issues.copy()
        self._targets.refuse_unknown_kinds(issues)
        if self._asks_targets:
            self._targets.refuse_missing_clients(issues)
            self._refuse_missing_clients(issues)
        if not without_unknown:
            self._refuse_unknown_checks(issues)
        check_waivers(issues, self._sections, today, strict=strict)
        check_escalation(issues)
        issues.raise_any(self.secrets)
        left_out = len(self.ids_of_unknown_checks()) if without_unknown else 0
        if len(made) + left_out != len(self._entries):
            raise AssertionError(f"{len(self._entries)} entries became {len(made)} expectations without an error")
        return self._policy(targets, tuple(made[index] for index in sorted(made)), today)

    def _policy(self, targets: Mapping[str, Target], expectations: tuple[Expectation, ...], today: date) -> Policy:
        sections = self._sections
        return Policy(
            path=self.path,
            environment=self.environment,
            sha256=self._sha256,
            targets={**targets, **{one.name: one for each in expectations for one in each.systems}},
            severities=sections.severities,
            escalation=sections.escalation,
            expectations=expectations,
            waivers={waiver.id: waiver for waiver in sections.waivers},
            secrets=self.secrets,
            default_timeout=sections.defaults.timeout or _TIMEOUT_WHERE_NONE_IS_SAID,
            notices=waiver_notices(sections.waivers, today),
            uses=self.uses,
            sources={entry.id: entry.source for entry in self._entries if entry.id is not None},
        )

    def _by_index(self, kind: type[Expectation]) -> dict[int, Expectation]:
        if kind not in self._made:
            asked = [entry for entry in self._entries if entry.check == kind.check_name]
            made = [(entry.index, self._validated(entry, kind)) for entry in asked]
            self._made[kind] = _first_of_each_id((index, one) for index, one in made if one is not None)
        return self._made[kind]

    def _validated(self, entry: _Entry, kind: type[Expectation]) -> Expectation | None:
        made = validated(
            kind,
            entry.node,
            entry.path,
            self._issues,
            defaults=self._defaults,
            context={"targets": self._targets.known(), "kinds_of": self.registry.kinds_of},
            told_already=self._names_a_wrong_target,
        )
        if made is not None:
            register_secrets(made, entry.node, self.secrets)
            check_commands(self._issues, entry.index, made)
        return made and with_own_targets(made, entry.node)

    def _names_a_wrong_target(self, details: ErrorDetails) -> bool:
        """True when the target exists; its own errors are reported at its place."""
        given = details["input"]
        return details["type"] == "unknown_target" and isinstance(given, str) and given in self._targets.nodes

    def _refuse_missing_clients(self, issues: Issues) -> None:
        for entry in self._entries:
            client = self.registry.client_of_check(entry.check or "")
            refuse_missing(client, f"queries of {entry.check}", issues, entry.node, entry.path)

    def _refuse_unknown_checks(self, issues: Issues) -> None:
        known = self.registry.checks
        for entry in self._entries:
            node = entry.node.items.get("check")
            if node is None:
                issues.at(entry.node, entry.path, "the key `check` is missing")
            elif entry.check is None:
                issues.at(node, (*entry.path, "check"), "expected the name of a check", node.shown)
            elif entry.check not in known:
                hint = _known_checks(entry.check, known)
                issues.at(node, (*entry.path, "check"), "unknown check", node.shown, hint)


def _read_sections(issues: Issues) -> PolicyFile:
    """The other sections of a policy. An invalid section is reported and left out."""
    values = {key: plain(node) for key, node in issues.root.items.items() if key not in _CHECKED_IN_EACH_FILE}
    try:
        return PolicyFile.model_validate(values)
    except ValidationError as error:
        issues.add(Explainer(issues.root, (), PolicyFile).issues(error))
        wrong = {details["loc"][0] for details in error.errors(include_context=False, include_input=False)}
        return PolicyFile.model_validate({key: value for key, value in values.items() if key not in wrong})


def _read_entries(issues: Issues) -> Iterator[_Entry]:
    section = issues.root.items.get("expectations")
    if section is None or (isinstance(section, Sequence) and not section.items):
        issues.at(section or issues.root, ("expectations",), "expected at least one; nothing would be checked")
    for index, node in enumerate(items_of(section)):
        if isinstance(node, MappingNode):
            yield _Entry(index, node)


def _first_of_each_id(made: Iterable[tuple[int, Expectation]]) -> dict[int, Expectation]:
    by_id: dict[str, tuple[int, Expectation]] = {}
    for index, one in made:
        by_id.setdefault(one.id, (index, one))
    return dict(by_id.values())


def _known_checks(name: str, checks: Iterable[str]) -> str:
    system = name.partition(".")[0]
    alike = ", ".join(check for check in checks if check.startswith(f"{system}."))
    if not alike and (owner := owner_of_system(system)) is not None:
        return hint_to_use(owner, system)
    near = nearest(name, checks)
    if near is not None:
        return f"did you mean {near}?"
    known = f"of {system} there are {alike}" if alike else f"opscheck has no check of {system or 'that name'}"
    return f"{known}; for a check of your own, name its folder too"
