"""Schedules are due when Kubernetes says so. The times are those of github.com/robfig/cron/v3 v3.0.1 itself."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.kubernetes.schedules import UnreadableSchedule, read_schedule


def due(schedule, zone, after, times=3) -> list[str]:
    read, moment, found = read_schedule(schedule, zone), datetime.fromisoformat(after), []
    for _ in range(times):
        moment = read.after(moment)
        found.append(f"{moment:%m-%d %H:%M}")
    return found


BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        # Spring: 02:00 to 03:00 is not there. The run is left out, and not made up for.
        ("0 2 * * *", BERLIN, "2026-03-28T00:00:00Z", ["03-28 01:00", "03-30 00:00", "03-31 00:00"]),
        ("30 2 * * SUN", BERLIN, "2026-03-28T00:00:00Z", ["04-05 00:30", "04-12 00:30", "04-19 00:30"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07T06:00:00Z", ["03-07 07:30", "03-09 06:30", "03-10 06:30"]),
        ("0 3 * * *", BERLIN, "2026-03-28T00:00:00Z", ["03-28 02:00", "03-29 01:00", "03-30 01:00"]),
        # Autumn: 02:00 to 03:00 (01:00 to 02:00) comes twice, and so does the run.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", ["10-25 00:30", "10-25 01:30", "10-26 01:30"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T06:00:00Z", ["11-01 05:30", "11-01 06:30", "11-02 06:30"]),
        ("0 3 * * *", BERLIN, "2026-10-24T12:00:00Z", ["10-25 02:00", "10-26 02:00", "10-27 02:00"]),
        # Midnight is not there either in some years.
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-02T12:00:00Z", ["11-03 03:00", "11-05 02:00", "11-06 02:00"]),
    ],
)
def test_the_clocks_change_as_the_controller_sees_it(schedule, zone, after, expected):
    assert expected == due(schedule, zone, after)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("0 0 13 * 5", ["04-03 00:00", "04-10 00:00", "04-13 00:00"]),  # Fridays, and the 13th too
        ("0 0 */10 * 1", ["03-30 00:00", "03-31 00:00", "04-01 00:00"]),  # a star with a step is no star
        ("0 0 */1 * 1", ["03-30 00:00", "04-06 00:00", "04-13 00:00"]),
        ("0 0 ? * mon", ["03-30 00:00", "04-06 00:00", "04-13 00:00"]),
        ("0 0 * * 5/2", ["04-03 00:00", "04-10 00:00", "04-17 00:00"]),  # 7 is no Sunday
        ("0 0 2-2/3 * *", ["04-02 00:00", "05-02 00:00", "06-02 00:00"]),
        ("0 0 1 jan,JUL *", ["07-01 00:00", "01-01 00:00", "07-01 00:00"]),
        ("5/20 * * * *", ["03-28 12:05", "03-28 12:25", "03-28 12:45"]),
        ("@hourly", ["03-28 13:00", "03-28 14:00", "03-28 15:00"]),
        ("@weekly", ["03-29 00:00", "04-05 00:00", "04-12 00:00"]),
        ("@every 1h30m", ["03-28 13:30", "03-28 15:00", "03-28 16:30"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
    ],
)
def test_fields_mean_what_they_mean_to_the_controller(schedule, expected):
    assert expected == due(schedule, "UTC", "2026-03-28T12:00:00Z")


def test_an_old_prefix_names_the_zone():
    assert ["03-29 01:00"] == due("CRON_TZ=Europe/Berlin 0 3 * * *", None, "2026-03-28T12:00:00Z", 1)
    assert ["03-29 01:00"] == due("TZ=Europe/Berlin 0 3 * * *", "UTC", "2026-03-28T12:00:00Z", 1)


@pytest.mark.parametrize("never", ["0 0 30 2 *", "0 0 31 2 *", "0 0 31 4,6 *", "@every 99999999h"])
def test_a_date_that_never_comes_is_never_due(never):
    assert read_schedule(never, None).after(datetime.fromisoformat("2026-03-28T12:00:00Z")) is None


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("0 2 * *", "does not have five fields"),
        ("0 0 2 * * *", "does not have five fields"),
        ("0 0 * * 7", "`7` is not within 0 to 6"),
        ("0 24 * * *", "`24` is not within 0 to 23"),
        ("*/0 * * * *", "not within"),
        ("0 0 * * fri-mon", "not within"),
        ("0 0 L * *", "invalid schedule"),
        ("0 0 * * 1#2", "is not a number, range or step"),
        ("@reboot", "does not have five fields"),
        ("@every 9999999999999999h", "is too long"),
        ("@every soon", "does not have five fields"),
        ("", "no schedule"),
        (None, "no schedule"),
    ],
)
def test_schedule_that_the_controller_rejects_is_unreadable(schedule, why):
    with pytest.raises(UnreadableSchedule, match=why):
        read_schedule(schedule, None)


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "../../etc/passwd", "Local\0"])
def test_a_zone_that_nobody_knows_is_said_to_be_unknown(zone):
    with pytest.raises(UnreadableSchedule, match="is unknown on this machine"):
        read_schedule("0 2 * * *", zone)


@given(st.text(alphabet="0123456789*/-,?@LW# monJANeveryhTZ=", max_size=24))
def test_any_text_is_read_or_refused(text):
    try:
        found = read_schedule(text, None)
    except UnreadableSchedule:
        return
    moment = datetime.fromisoformat("2026-03-28T12:00:00Z")
    later = found.after(moment)
    assert later is None or later > moment
