"""How a drill ends early: every module of it raises these."""


class Failed(Exception):  # noqa: N818 - it is the backup that failed
    """The backup cannot be restored; `trouble` is one of `opscheck.systems.recovery.drill_record.TROUBLES`."""

    def __init__(self, trouble: str, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble
        self.text = text


class Late(Exception):  # noqa: N818 - it is no error
    """The drill's time is over."""


class Ended(BaseException):
    """The process that started the drill is gone, or ended it."""
