"""Ending in order."""

import os
import signal

import pytest

from opscheck.demo.signals import ENDINGS, Ended, ending_in_order


@pytest.fixture(autouse=True)
def _heeded():
    """As in a terminal, wherever the tests run: a job in the background is started with some of these ignored."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in ENDINGS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("number", ENDINGS)
def test_first_signal_ends_and_later_ones_are_ignored(number):
    before = {each: signal.getsignal(each) for each in ENDINGS}
    cleaned_up = []

    def interrupted() -> None:
        with ending_in_order():
            try:
                os.kill(os.getpid(), number)
                signal.pause()
            finally:
                os.kill(os.getpid(), number)
                cleaned_up.append(number)

    with pytest.raises(Ended, match=number.name):
        interrupted()

    assert [number] == cleaned_up
    assert before == {each: signal.getsignal(each) for each in ENDINGS}


def test_ignored_signal_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_in_order():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
