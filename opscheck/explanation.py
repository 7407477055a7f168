"""Everything about one expectation, without touching a target: `explain`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from opscheck.core.exit_codes import UserError
from opscheck.core.expectation import Expectation
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.target import Target
from opscheck.core.units import format_duration
from opscheck.gathering.plan import timeout_of
from opscheck.inspection import Described, as_json
from opscheck.policy.models import Policy

_ONLY_WITH_DRILL = "It writes to a scratch system, and runs only with --drill."
_MISSING = {
    ProblemKind.UNREACHABLE: "no connection",
    ProblemKind.LATE: "no answer within {timeout}",
    ProblemKind.UNREADABLE: "an invalid answer",
    ProblemKind.ABSENT: "the requested object does not exist",
    ProblemKind.DENIED: "access denied",
}
"""Problems instead of an answer."""


@dataclass(frozen=True)
class Explanation:
    """One expectation of a policy."""

    described: Described
    expectation: Expectation

    def text(self) -> str:
        """For the terminal."""
        one, described = self.expectation, self.described
        check, source = described.check(one.check), described.policy.source(one.id)
        sections = [
            f"{one.id}: {described.claim(one)}",
            _paragraph("Claim", [check.claim, check.reason] if check else []),
            _paragraph("Judged by", [f"{one.check}, {check.file}:{check.line}" if check else one.check]),
            _paragraph("Target", [f"{each.name} ({each.kind}): {each.address}" for each in one.systems] or ["none"]),
            _paragraph("Writes", [_ONLY_WITH_DRILL] if one.changes_its_target else []),
            _paragraph("Limits", _limit_lines(one)),
            _paragraph("No answer", no_answer_lines(one, described.policy)),
            _paragraph("Queries", query_lines(one, described.policy)),
            _paragraph("Permissions", permission_lines(one) or ["none"]),
            _paragraph("Remediation", _remediation_lines(one)),
            _paragraph("About", _about_lines(one)),
            f"{source.file}:{source.line}",
        ]
        return described.policy.secrets.clean("\n\n".join(section for section in sections if section))

    def json(self) -> str:
        """As one JSON document."""
        return as_json("opscheck.explain/v1", self._document(), self.described.policy.secrets)

    def _document(self) -> dict[str, Any]:
        one, described = self.expectation, self.described
        check, source = described.check(one.check), described.policy.source(one.id)
        remedies = (one.remediation,) if one.remediation else one.remedies
        return {
            "id": one.id,
            "title": described.claim(one),
            "claim": check.claim if check else "",
            "reason": check.reason if check else "",
            "check": one.check,
            "judged_by": f"{check.file}:{check.line}" if check else None,
            "targets": [{"name": each.name, "kind": each.kind, "address": each.address} for each in one.systems],
            "only_with_drill": one.changes_its_target,
            "limits": list(_limit_lines(one)),
            "no_answer": [
                {"problem": problem, "verdict": verdict, "severity": severity}
                for problem, verdict, severity in _outcomes(one, described.policy)
            ],
            "queries": list(query_lines(one, described.policy)),
            "permissions": permission_lines(one),
            "remedies": [{"summary": each.summary, "commands": list(each.commands)} for each in remedies],
            "facts": dict(one.fact_names),
            "owner": one.owner,
            "runbook": one.runbook,
            "tags": list(one.tags),
            "skip": one.skip,
            "source": {"file": source.file, "line": source.line},
        }


def explanation(described: Described, name: str) -> Explanation:
    """The expectation with this id. Raises UserError when there is none."""
    return Explanation(described, _find(described.policy, name))


def no_answer_lines(expectation: Expectation, policy: Policy) -> list[str]:
    """The verdict on each kind of missing answer, a line per verdict."""
    lines: dict[str, list[str]] = {}
    for problem, verdict, severity in _outcomes(expectation, policy):
        lines.setdefault(f"{verdict} ({severity})", []).append(problem)
    return [f"{verdict}: {', '.join(problems)}" for verdict, problems in lines.items()]


def _outcomes(expectation: Expectation, policy: Policy) -> Iterator[tuple[str, str, str]]:
    """Each kind of missing answer with the verdict and its severity."""
    timeouts = [timeout_of(expectation, query, policy.default_timeout) for query in expectation.queries()]
    if not timeouts:
        return
    longest = max(timeouts)
    for kind, text in _MISSING.items():
        severity = expectation.no_answer(Problem(kind=kind, text="", waited_s=longest))
        shown = text.format(timeout=format_duration(longest))
        if kind is ProblemKind.LATE and "latency" in type(expectation).model_fields:
            shown += f" ({_latency_words(expectation, longest)})"
        yield shown, "violated" if severity else "unknown", severity or expectation.worst_severity


def _latency_words(expectation: Expectation, waited_s: float) -> str:
    limit = expectation.limits().get("latency")
    if limit is None:
        return "without a latency limit"
    return "within the latency limit" if limit.severity(waited_s) is None else "exceeds the latency limit"


def _find(policy: Policy, name: str) -> Expectation:
    for expectation in policy.expectations:
        if expectation.id == name:
            return expectation
    near = get_close_matches(name, [one.id for one in policy.expectations], n=1)
    suggestion = f"; did you mean {near[0]}?" if near else f"; `opscheck list {policy.path}` shows them"
    if any(one.check == name for one in policy.expectations):
        suggestion = f"; it is a check: `opscheck checks {name}` describes it"
    raise UserError(f"{policy.path}: no expectation has the id {name}{suggestion}")


def query_lines(expectation: Expectation, policy: Policy) -> Iterator[str]:
    """Its queries in words, each with its time limit."""
    for query in expectation.described():
        timeout = format_duration(timeout_of(expectation, query, policy.default_timeout))
        kept = ", kept in the state file" if query.remembered else ""
        yield f"{query.text()}, answered within {timeout}{kept}"


def permission_lines(expectation: Expectation) -> list[str]:
    """The permissions of its queries, a line each."""
    needed = dict.fromkeys(permission for query in expectation.described() for permission in query.permissions())
    return [f"{one.text()}; risk: {one.risk}" if one.risk else one.text() for one in needed]


def _paragraph(title: str, lines: Iterable[str]) -> str:
    kept = [line for line in lines if line]
    return "\n".join([title, *(f"  {line}" for line in kept)]) if kept else ""


def _limit_lines(expectation: Expectation) -> list[str]:
    lines = [f"{name}: {limit}" for name, limit in expectation.limits().items()]
    if expectation.severity:
        lines.append(f"conditions without a threshold: {expectation.severity}")
    base = set(Expectation.model_fields) | {"target"} | set(expectation.limits())
    own = {
        field.alias or name: getattr(expectation, name)
        for name, field in type(expectation).model_fields.items()
        if name not in base
    }
    shown = {name: value for name, value in own.items() if not isinstance(value, Target)}
    return lines + [f"{name}: {_shown(value)}" for name, value in shown.items() if value not in (None, (), [], {}, "")]


def _shown(value: object) -> str:
    """A field's value as in a policy."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, BaseModel) and type(value).__str__ is BaseModel.__str__:
        return ", ".join(f"{name} {_shown(item)}" for name, item in value if item is not None)
    if isinstance(value, dict):
        return "; ".join(f"{name} ({_shown(item)})" for name, item in value.items())
    if isinstance(value, tuple | list):
        return "; ".join(str(item) for item in value)
    return str(value)


def _remediation_lines(expectation: Expectation) -> list[str]:
    """The policy's remediation, else each remedy of the check, then the facts that a policy may name."""
    suggested = (expectation.remediation,) if expectation.remediation else expectation.remedies
    lines = [line for one in suggested for line in (one.summary, *(f"$ {command}" for command in one.commands))]
    return [*lines, *(f"{{{{ {name} }}}}: {meaning}" for name, meaning in expectation.fact_names.items())]


def _about_lines(expectation: Expectation) -> list[str]:
    about = {"owner": expectation.owner, "runbook": expectation.runbook, "tags": ", ".join(expectation.tags)}
    about["skipped"] = expectation.skip
    return [f"{name}: {value}" for name, value in about.items() if value]
