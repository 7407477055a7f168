"""The exceptions that end a drill early."""

from opscheck.core.observation import ProbeError, ProblemKind


class Failed(Exception):  # noqa: N818 - it is the backup that failed
    """The backup cannot be restored; `trouble` is one of `opscheck.systems.recovery.drill_record.TROUBLES`."""

    def __init__(self, trouble: str, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble
        self.text = text


def unsupported(text: str, advice: str = "") -> ProbeError:
    """The error when the drill cannot run, and the backup is not at fault."""
    return ProbeError(ProblemKind.UNSUPPORTED, text, advice)


class Late(Exception):  # noqa: N818 - not an error
    """The drill's timeout."""


class Ended(BaseException):
    """The process that started the drill has ended, or has stopped it."""
