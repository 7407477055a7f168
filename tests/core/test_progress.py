"""What long work tells while it goes on."""

import pytest

from opscheck.core.progress import going_on, working


def test_running_work_is_shown_with_its_share():
    with working("reading a.dump", total=2_000_000) as tell:
        tell(500_000)

        assert "reading a.dump 25% of 2MB" == going_on()
    assert "" == going_on()


def test_work_of_unknown_size_shows_the_bytes_done():
    with working("unpacking") as tell:
        assert "unpacking" == going_on()
        tell(3_000)

        assert "unpacking 3KB" == going_on()


def test_several_works_are_shown_together():
    with working("one"), working("two"):
        assert "one, two" == going_on()


def test_failed_work_is_no_longer_shown():
    with pytest.raises(OSError, match="disk"), working("reading"):
        raise OSError("disk")

    assert "" == going_on()
