"""Targets that an expectation writes inline: no entry of the policy's `targets` names them."""

from typing import ClassVar, Self

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from opscheck.core.target import Target


class InlineTarget(Target):
    """A target that an expectation writes as a text of its own, and not as the name of an entry of `targets`."""

    noun: ClassVar[str] = ""
    """What such a text is, for people."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The target that `text` stands for. Raises PydanticCustomError."""
        raise NotImplementedError(cls)  # pragma: no cover

    def as_written(self, text: str) -> Self:  # noqa: ARG002 - for subclasses
        """The same target, under a name that is the same wherever the policy is used; `text` stands in the policy."""
        return self

    @classmethod
    def _look_up(cls, value: object, info: ValidationInfo) -> object:  # noqa: ARG003 - there is nothing to look up
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, Target):  # pydantic comes here a second time with what was found
            return value
        raise PydanticCustomError("own_target", cls.noun)
