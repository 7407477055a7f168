"""Numbers in JSON bodies: the expectation of `http.value`."""

from typing import ClassVar

from opscheck.core.json_paths import JsonPath
from opscheck.core.operators import Number
from opscheck.core.remedy import Remedy
from opscheck.core.units import Graded, GradedMinimum
from opscheck.systems.http.request import HttpExpectation

READ_NUMBER = Remedy(
    "Find the cause in the response and in recent changes",
    "curl -sS --max-time 10 {{ curl_options }} {{ base_url }}{{ path }}",
)


class HttpValue(HttpExpectation, check="http.value"):
    """
    A number in the JSON body stays within its limits.

    A JMESPath expression reads the value from a successful response. A body that is not JSON, a missing path and a
    value that is not a number are violations, at `severity`.
    """

    any_limit_of = ("at_most", "at_least")
    remedies = (READ_NUMBER,)
    fact_names: ClassVar = {"status": "the status of the response"}

    value: JsonPath
    """JMESPath of the number. A string of digits is not a number, nor is a boolean."""
    at_most: Graded[Number] | None = None
    """Maximum value."""
    at_least: GradedMinimum[Number] | None = None
    """Minimum value."""
    unit: str = ""
    """The number's unit: s, %, B, or a noun such as jobs."""
