"""What a person is told to type."""

from opscheck import Findings
from opscheck.core.expectation import Expectation
from opscheck.core.templates import expectation_facts, render


def rendered(expectation: Expectation, findings: Findings) -> list[str]:
    """The commands of every violation, one after the other; those that lack a fact are left out."""
    known = expectation_facts(expectation)
    return [
        command
        for violation in findings.violations
        for template in dict.fromkeys(violation.remediation.commands)
        if (command := render(template, known | violation.facts))
    ]
