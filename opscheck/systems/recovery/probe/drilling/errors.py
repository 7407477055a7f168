"""How a drill ends early: every module of it raises these."""

from opscheck.core.observation import ProbeError, ProblemKind


class Failed(Exception):  # noqa: N818 - it is the backup that failed
    """The backup cannot be restored; `trouble` is one of `opscheck.systems.recovery.drill_record.TROUBLES`."""

    def __init__(self, trouble: str, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble
        self.text = text


def unsupported(text: str, advice: str = "") -> ProbeError:
    """What to raise where the drill cannot be done, and the backup is not at fault."""
    return ProbeError(ProblemKind.UNSUPPORTED, text, advice)


class Late(Exception):  # noqa: N818 - it is no error
    """The drill's time is over."""


class Ended(BaseException):
    """The process that started the drill is gone, or ended it."""
