"""Comparisons in policies: rules with exactly one operator, and the numbers and patterns that they compare with."""

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise PydanticCustomError("regex", "a regular expression ({reason})", {"reason": str(error)}) from error
    return value


def no_boolean(value: object) -> object:
    """Validator that refuses booleans, which are integers to Python."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "a number")
    return value


Regex = Annotated[str, AfterValidator(_regex), Field(json_schema_extra={"format": "regex"})]
Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(no_boolean)]


class OneOperator(BaseModel):
    """Compares a value in exactly one way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    places: ClassVar[frozenset[str]] = frozenset()
    """Fields that select the compared value."""

    @property
    def operator(self) -> str:
        """The one operator that the policy names."""
        (name,) = self.model_fields_set - self.places
        return name

    @property
    def operand(self) -> Any:
        """The value of the operator in the policy."""
        return getattr(self, self.operator)

    def __str__(self) -> str:
        return ", ".join(f"{name}: {getattr(self, name)}" for name in (*sorted(self.places), self.operator))

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        operators = [name for name in type(self).model_fields if name not in self.places]
        given = self.model_fields_set - self.places
        if len(given) != 1:
            raise PydanticCustomError("operator", "exactly one of {operators}", {"operators": ", ".join(operators)})
        if self.operand is None:
            raise PydanticCustomError(
                "operator_empty",
                "a value for `{operator}`; for null write `exists: false`",
                {"operator": next(iter(given))},
            )
        return self
