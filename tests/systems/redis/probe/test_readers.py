"""INFO and the slow log of real servers, and malformed replies."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.core.observation import ProblemKind
from opscheck.demo.redis import Redis
from opscheck.systems.redis.cache import RedisSlowerThan, RedisSlowLog, SlowCommand
from opscheck.systems.redis.info import Database, RedisInfo, Replica, ServerInfo
from opscheck.systems.redis.probe.readers import parse_info
from opscheck.systems.redis.servers import Refusal
from tests.servers.redis import blocked_by_a_script, failing_snapshots, full_of_clients, loading, say, set_config
from tests.systems.redis.probe.requests import ask, ask_one, local, problem_of

INFO = RedisInfo("cache")
NUMBERS = [name for name, hint in ServerInfo.__annotations__.items() if hint == int | None]


@pytest.fixture(name="redis")
def _redis(redis_program):
    with Redis() as server:
        yield server


# Real servers


def test_info_has_every_judged_field(redis):
    """Only fields of replicas, newer versions or Valkey may be missing."""
    say(redis, "SET", "key", "value", "EX", "100")

    info = ask_one(redis.url, INFO)

    missing = {name for name in ServerInfo.__struct_fields__ if getattr(info, name) is None}
    assert missing <= {
        *("server_name", "valkey_version", "async_loading", "rdb_saves", "current_eviction_exceeded_time"),
        *("master_host", "master_port", "master_link_status", "master_last_io_seconds_ago", "master_sync_in_progress"),
        "master_link_down_since_seconds",
    }
    assert f"Redis {redis.version}" == info.product
    assert (Database(name="db0", keys=1, expires=1),) == info.databases
    assert info.is_primary
    assert info.run_id == info.epoch
    assert info.counting_since <= info.server_time


def test_info_is_one_query_for_all_expectations(scripted):
    server = scripted(b"+OK\r\n", b"$12\r\nrole:master\n\r\n")

    ask_one(local(server, "ops:pw@"), INFO)

    assert 2 == len(server.heard)
    assert b"*1\r\n$4\r\nINFO\r\n" == server.heard[1]


def test_info_reports_a_failed_save(redis, tmp_path):
    """INFO is allowed where PING is refused."""
    with failing_snapshots(redis, tmp_path / "gone"):
        assert "err" == ask_one(redis.url, INFO).rdb_last_bgsave_status


def test_info_reports_loading(redis):
    with loading(redis):
        assert ask_one(redis.url, INFO).loading


def test_info_reports_a_lost_primary(redis):
    set_config(redis, replica_serve_stale_data="no")
    say(redis, "REPLICAOF", "127.0.0.1", "1")
    assert "down" == ask_one(redis.url, INFO).master_link_status


def test_a_server_that_a_script_blocks_refuses(redis):
    with blocked_by_a_script(redis):
        (reply,) = ask(redis.url, INFO).nodes

    assert (None, Refusal.BUSY) == (reply.answer, reply.refusal)
    assert reply.error.startswith("BUSY ")


def test_a_server_that_is_full_refuses(redis):
    with full_of_clients(redis):
        (reply,) = ask(redis.url, INFO).nodes

    assert Refusal.MAX_CLIENTS is reply.refusal


def test_denied_info_names_the_acl_rule(redis):
    say(redis, "ACL", "SETUSER", "opscheck", "on", ">pw", "-@all", "+ping")

    problem = problem_of(f"redis://opscheck:pw@127.0.0.1:{redis.port}", INFO)

    assert (ProblemKind.DENIED, "run as administrator: ACL SETUSER opscheck +info") == (
        problem.kind,
        problem.advice,
    )
    assert f"user opscheck has no permission for INFO on 127.0.0.1:{redis.port}" == problem.text


@pytest.mark.parametrize("reply", [b"$0\r\n\r\n", b":1\r\n", b"*0\r\n", b"$-1\r\n", b"$5\r\nhello\r\n"])
def test_something_else_is_unreadable(scripted, reply):
    problem = problem_of(local(scripted(reply)), INFO)

    assert ProblemKind.UNREADABLE is problem.kind
    assert "sent an invalid reply to INFO" in problem.text


# Other products, versions and services


def test_valkey_is_reported_as_valkey_and_not_as_redis():
    text = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n"

    assert "Valkey 8.0.1" == parse_info(text).product
    assert "Redis 7.2.4" == parse_info("redis_version:7.2.4\r\nserver_name:redis\r\n").product
    assert "acme, compatible with Redis 7.2.4" == parse_info("redis_version:7.2.4\nserver_name:acme\n").product


@pytest.mark.parametrize(("word", "is_primary"), [("master", True), ("slave", False), ("sentinel", None)])
def test_roles_have_the_old_words(word, is_primary):
    assert is_primary is parse_info(f"role:{word}\r\n").is_primary


def test_replicas_are_parsed_with_unknown_fields():
    text = (
        "role:master\r\n"
        "slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1,type=replica\r\n"
        "slave1:ip=fd00::1,port=6380,state=wait_bgsave,offset=x\r\n"
        "slave2:10.0.0.4,6379,online\r\n"
        "slaves_of_nobody:1\r\n"
    )

    assert (
        Replica(address="10.0.0.2:6379", state="online", offset=14, lag=1),
        Replica(address="[fd00::1]:6380", state="wait_bgsave"),
    ) == parse_info(text).replicas


def test_a_keyspace_that_is_hidden_is_not_an_empty_one():
    assert () == parse_info("role:master\r\n# Keyspace\r\n").databases
    assert parse_info("role:master\r\n").databases is None


# Odd text


@given(st.text())
def test_no_text_breaks_it(text):
    parse_info(text)


odd = st.text(alphabet=st.characters(exclude_characters="\n")).filter(
    lambda text: not re.fullmatch(r"-?[0-9]{1,18}", text.strip())
)


@given(st.sampled_from(NUMBERS), odd)
def test_malformed_number_is_unknown_and_not_0(name, value):
    info = parse_info(f"redis_version:7.0.0\r\n{name}:{value}\r\n")

    assert getattr(info, name) is None


@given(st.sampled_from(NUMBERS), st.integers(min_value=-(10**18) + 1, max_value=10**18 - 1))
def test_valid_number_is_parsed(name, value):
    assert value == getattr(parse_info(f"{name}:{value}\r\n"), name)


@given(st.sampled_from(["loading", "aof_enabled", "cluster_enabled"]), odd)
def test_a_flag_that_is_neither_0_nor_1_is_unknown(name, value):
    assert getattr(parse_info(f"redis_version:7.0.0\r\n{name}:{value}\r\n"), name) is None


@given(
    st.integers(min_value=-(10**18) + 1, max_value=10**18 - 1),
    st.integers(min_value=-(10**18) + 1, max_value=10**18 - 1),
)
def test_no_clock_breaks_it(now, uptime):
    info = ServerInfo(server_time_usec=now, uptime_in_seconds=uptime)

    assert info.server_time is None or info.server_time.tzinfo
    assert info.counting_since is None or info.counting_since.tzinfo


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
def test_invalid_command_name_is_masked(scripted, words, command):
    """The log has the first word of a client as the command."""
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
def test_slow_log_with_an_invalid_entry_is_unreadable(scripted, reply):
    problem = problem_of(local(scripted(reply)), RedisSlowLog("cache"))

    assert ProblemKind.UNREADABLE is problem.kind
    assert "sent an invalid reply to SLOWLOG GET" in problem.text


@pytest.mark.parametrize("reply", [b"*0\r\n", b"*2\r\n$1\r\nx\r\n$4\r\nsoon\r\n", b"$1\r\n1\r\n"])
def test_setting_without_a_number_is_unreadable(scripted, reply):
    assert ProblemKind.UNREADABLE is problem_of(local(scripted(reply)), RedisSlowerThan("cache")).kind
