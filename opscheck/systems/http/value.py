"""Numbers in JSON bodies: the expectation of `http.value`."""

from typing import ClassVar

from opscheck.core.json_paths import JsonPath
from opscheck.core.operators import Number
from opscheck.core.remedy import Remedy
from opscheck.core.units import Graded, GradedMinimum
from opscheck.systems.http.request import HttpExpectation

READ_NUMBER = Remedy(
    "Find out what moved the number, from the answer and from what changed lately",
    "curl -sS --max-time 10 {{ base_url }}{{ path }}",
)


class HttpValue(HttpExpectation, check="http.value"):
    """
    A number in the JSON body stays within its limits.

    The value is read from the body of a successful response with a JMESPath expression. A body that is not JSON, a path
    that does not exist and a value that is not a number are violations, at `severity`.
    """

    any_limit_of = ("at_most", "at_least")
    remedies = (READ_NUMBER,)
    fact_names: ClassVar = {"status": "the status of the answer"}

    value: JsonPath
    """JMESPath of the number. A text with digits is no number, nor is a boolean."""
    at_most: Graded[Number] | None = None
    """The largest number that is all right."""
    at_least: GradedMinimum[Number] | None = None
    """The smallest number that is all right."""
    unit: str = ""
    """The number's unit: s, %, B, or a word for what is counted."""
