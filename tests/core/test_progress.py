"""What long work tells while it goes on."""

import pytest

from opscheck.core.progress import going_on, working


def test_work_is_told_with_its_share_while_it_goes_on_and_not_after_it():
    with working("reading a.dump", total=2_000_000) as tell:
        tell(500_000)

        assert "reading a.dump 25% of 2MB" == going_on()
    assert "" == going_on()


def test_work_of_unknown_size_tells_what_is_done():
    with working("unpacking") as tell:
        assert "unpacking" == going_on()
        tell(3_000)

        assert "unpacking 3KB" == going_on()


def test_several_pieces_of_work_stand_side_by_side():
    with working("one"), working("two"):
        assert "one, two" == going_on()


def test_work_that_fails_is_told_no_longer():
    with pytest.raises(OSError, match="disk"), working("reading"):
        raise OSError("disk")

    assert "" == going_on()
