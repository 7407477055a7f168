"""Used shares of limits, by object, and the objects without a known share."""

from dataclasses import dataclass, field

from opscheck.core.expectation import Expectation
from opscheck.core.findings import FindingParts, Findings


@dataclass(frozen=True)
class Share:
    """The share of one limit that one object uses."""

    limit: str
    """The field of the expectation."""
    subject: str
    percent: float
    detail: str
    """The two numbers."""
    parts: FindingParts
    """Further parts of its finding."""

    def grade(self, findings: Findings, expectation: Expectation, name: str) -> None:
        """Compare it with its limit, under the `name` of the measurement."""
        limit, here = getattr(expectation, self.limit), findings.on(self.subject)
        here.grade(name, self.percent, limit, unit="%", detail=self.detail, **self.parts)


@dataclass
class Shares:
    """The shares that could be judged, and the objects without one."""

    found: list[Share] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Objects with an unexpectedly unknown share, with the reason."""
    not_yet: dict[str, str] = field(default_factory=dict)
    """Objects without a share to judge yet, with the reason."""

    def of(self, limit: str) -> list[Share]:
        """The shares of one limit, largest first."""
        return sorted((one for one in self.found if one.limit == limit), key=lambda one: (-one.percent, one.subject))

    def grade(self, findings: Findings, expectation: Expectation, limit: str, name: str) -> None:
        """Measure the largest share of a limit, and report all that break it."""
        for place, share in enumerate(self.of(limit)):
            if place == 0 or getattr(expectation, limit).severity(share.percent):
                share.grade(findings, expectation, name)
