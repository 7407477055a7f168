"""The slow log of real servers, and replies that are none."""

import pytest

from opscheck.core.observation import ProblemKind
from opscheck.demo.redis import Redis
from opscheck.systems.redis.cache import RedisSlowerThan, RedisSlowLog, SlowCommand
from tests.servers.redis import say, set_config
from tests.systems.redis.probe.requests import ask_one, local, problem_of


def test_commands_are_named_and_their_arguments_forgotten(redis_program):
    with Redis() as redis:
        set_config(redis, slowlog_log_slower_than="0")
        say(redis, "SET", "key", "geheim")

        answer = ask_one(redis.url, RedisSlowLog("cache"))

    assert "SET" in {one.command for one in answer.commands}
    assert all(one.microseconds >= 0 and one.at > 1_700_000_000 for one in answer.commands)
    assert "geheim" not in str(answer)
    assert "key" not in str(answer)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (b"*2\r\n$3\r\nget\r\n$1\r\nk\r\n", "GET"),
        (b"*1\r\n$11\r\njson.object\r\n", "JSON.OBJECT"),
        (b"*1\r\n$8\r\np@ssw rd\r\n", "?"),
        (b"*1\r\n$0\r\n\r\n", "?"),
    ],
)
def test_what_is_no_name_of_a_command_is_not_shown(scripted, words, command):
    """Whatever a client sent first stands in the log as the command."""
    server = scripted(b"*1\r\n*4\r\n:7\r\n:1700000000\r\n:12000\r\n" + words)

    answer = ask_one(local(server), RedisSlowLog("cache"))

    assert (SlowCommand(at=1700000000, microseconds=12000, command=command),) == answer.commands


@pytest.mark.parametrize(
    "reply",
    [
        b"$2\r\nno\r\n",
        b":1\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n*3\r\n:1\r\n:1\r\n:1\r\n",
        b"*1\r\n*4\r\n:1\r\n:-1\r\n:1\r\n*1\r\n$3\r\nget\r\n",
        b"*1\r\n*4\r\n:1\r\n:999999999999999\r\n:1\r\n*1\r\n$3\r\nget\r\n",
        b"*1\r\n*4\r\n:1\r\n:1\r\n:1\r\n*0\r\n",
    ],
)
def test_a_log_of_which_a_part_cannot_be_read_is_no_short_log(scripted, reply):
    problem = problem_of(local(scripted(reply)), RedisSlowLog("cache"))

    assert ProblemKind.UNREADABLE is problem.kind
    assert "answers to SLOWLOG GET cannot be read" in problem.text


@pytest.mark.parametrize("reply", [b"*0\r\n", b"*2\r\n$1\r\nx\r\n$4\r\nsoon\r\n", b"$1\r\n1\r\n"])
def test_a_setting_that_is_no_number_is_unreadable(scripted, reply):
    assert ProblemKind.UNREADABLE is problem_of(local(scripted(reply)), RedisSlowerThan("cache")).kind
