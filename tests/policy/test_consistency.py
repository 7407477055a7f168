"""What must hold between the parts of a policy."""

from datetime import date, timedelta

import pytest

TODAY = date(2026, 3, 1)

POLICY = """
version: 1
environment: production
targets:
  cache: {kind: redis, url: "redis://cache.example.com"}
expectations:
  - id: cache
    check: redis.ping
    target: cache
    severity: P0
"""


def waived_until(day: date) -> str:
    return POLICY + f"waivers:\n  - {{id: cache, reason: moving, owner: maria, expires: {day}}}\n"


@pytest.mark.parametrize(
    ("days", "notices"),
    [
        (-1, ("the waiver of cache expired on 2026-02-28 and no longer applies (maria: moving)",)),
        (0, ("the waiver of cache expires today, on 2026-03-01 (maria: moving)",)),
        (1, ("the waiver of cache expires tomorrow, on 2026-03-02 (maria: moving)",)),
        (14, ("the waiver of cache expires in 14 days, on 2026-03-15 (maria: moving)",)),
        (15, ()),
    ],
)
def test_expiring_or_expired_waiver_is_a_notice(load, days, notices):
    assert notices == load(waived_until(TODAY + timedelta(days=days)), today=TODAY).notices


def test_waiver_applies_until_the_end_of_its_last_day(load):
    waiver = load(waived_until(TODAY)).waivers["cache"]

    assert not waiver.expired(TODAY)
    assert waiver.expired(TODAY + timedelta(days=1))


@pytest.mark.parametrize("day", ["2026", "20261201", "2026-12-1", "2026-12-01T00:00:00Z", "2026-13-01", "next week"])
def test_a_day_is_written_in_one_way(refusal, day):
    text = waived_until(TODAY).replace(str(TODAY), day)

    assert "waivers[cache].expires: expected a day written YYYY-MM-DD" in refusal(text)


@pytest.mark.parametrize(
    "command",
    [
        "redis-cli -h cache info",
        "echo {{ subject }} {{ observed }}",
        "kubectl logs -l id={{ id }}",
        "echo ${HOME} {{ url }}",
    ],
)
def test_command_may_name_facts_of_a_finding(load, command):
    text = f"{POLICY}    remediation:\n      commands: ['{command}']\n"

    assert (command,) == load(text).expectations[0].remediation.commands


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo {{ subjct }}", "no finding of redis.ping knows {{ subjct }}; did you mean {{ subject }}?"),
        ("echo {{ 7 }}", "is not a placeholder"),
        ("{{ subject }} restart", "would be the program that runs"),
        ('echo "{{ subject }}"', "`{{ subject }}` is inside or after quotes"),
        ("psql --command={{ subject }}", "would be read as program text"),
    ],
)
def test_unsafe_command_is_rejected_before_the_run(refusal, command, told):
    text = f"{POLICY}    remediation:\n      commands: ['true', '{command}']\n"

    assert refusal(text).startswith("policy.yaml:12:26: expectations[cache].remediation.commands[1]: ")
    assert told in refusal(text)
