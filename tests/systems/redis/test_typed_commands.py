"""Every command that a remedy of Redis prints, typed next to a real server with a password, in the state it is for."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pytest

from opscheck import RedisTarget
from opscheck.demo.redis import Redis
from opscheck.systems.redis import SYSTEM
from tests.servers.redis import (
    blocked_by_a_script,
    eventually,
    failing_snapshots,
    said_and_not_awaited,
    say,
    set_config,
)
from tests.servers.redis_topologies import info, redis_cluster, replicated, user_url
from tests.servers.stores import redis as redis_of_version
from tests.servers.typed_commands import declared_commands, expectations_of, typed

BY_ADDRESS = "client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head"
HEALTHY: dict[str, str] = {
    "ping": "^PONG$",
    "slowlog get 10  # prints arguments: keys, values, perhaps passwords": "ping",
    "slowlog get 10": "ping",
    "info persistence | grep -E 'loading|async_loading'": "loading:0",
    "config get logfile  # the log has the reason; `fork` points to vm.overcommit_memory": "^logfile",
    "bgsave  # once the cause is fixed": "Background saving started",
    "bgsave": "Background saving started",
    "bgrewriteaof  # once its disk has space for a second copy": "Background append only file rewriting started",
    "config set appendonly yes  # writes the whole data set once; then `config rewrite`": "^OK",
    "config get save  # empty means never": "^save",
    "info persistence | grep '^aof_last_write_status'": "aof_last_write_status:ok",
    "info persistence | grep -E '^aof_(last|current|base)'": "aof_last_bgrewrite_status:ok",
    BY_ADDRESS: r"\d+  ?addr=127.0.0.1",
    "config get timeout  # 0 never closes an idle connection": "^timeout\n0",
    "config get maxclients": r"^maxclients\n\d",
    "config get maxclients  # both need a free connection: retry until accepted": r"^maxclients\n\d",
    "info clients | grep -E '^(connected_clients|maxclients|blocked_clients):'": "maxclients:",
    "info memory | grep -E '^(used_memory|maxmemory|mem_not_counted)'": "mem_not_counted_for_evict:",
    "--memkeys  # the largest keys; scans every key, in small steps": "summary",
    "--bigkeys  # scans every key, in small steps": "summary",
    "info keyspace  # number of keys, and of keys with a TTL": "db0:keys=",
    "info keyspace  # number of keys, and their average TTL": "avg_ttl=",
    "config set maxmemory {{ raised }}  # if the machine has it, plus memory for fork": "^OK",
    "config set maxmemory {{ suggested }}  # and in its configuration file": "^OK",
    "config get maxmemory": "^maxmemory",
    "config get 'maxmemory*'": "maxmemory-policy",
    "config get maxmemory-policy": "^maxmemory-policy",
    "config set maxmemory-policy noeviction  # a full server then refuses writes": "^OK",
    "memory stats  # memory outside keys: client buffers, scripts, replicas": "clients.normal",
    "client list | grep -oE ' (addr|omem|tot-mem)=[^ ]+' | paste - - -": "tot-mem=.* omem=|omem=.* tot-mem=",
    "memory doctor": "Sam",
    "info memory | grep -E '^(used_memory_rss|used_memory|total_system_memory):'": "total_system_memory:",
    "info server | grep process_id  # then VmSwap in /proc/<pid>/status there": r"process_id:\d",
    "info stats | grep -E '^(evicted|expired)_keys'": "evicted_keys:",
    "info stats | grep -E '^(keyspace_(hits|misses)|evicted_keys|expired_keys)'": "keyspace_misses:",
    "command info {{ slowest }}": "^ping",
    "config set slowlog-log-slower-than {{ threshold }}": "^OK",
    "config get client-output-buffer-limit  # a replica over it is disconnected": "replica|slave",
    "config get logfile  # the log has requests of replicas, and refusals": "^logfile",
    "config get logfile  # the log has the reason: password, name, firewall": "^logfile",
}
IN_STATE: dict[str, tuple[str, str]] = {
    "info persistence | grep -E '^rdb_(last|changes)'": ("without a disk", "rdb_last_bgsave_status:err"),
    "info persistence | grep -E 'rdb_last_bgsave_status|aof_last_write_status'": ("without a disk", "status:err"),
    "config get dir  # is its disk full, missing or read-only?": ("without a disk", "^dir$"),
    "bgsave  # once the cause is fixed; a successful snapshot ends the refusal": (
        "without a disk",
        "Background saving",
    ),
    "script kill  # refused once the script has written: then wait for its end": ("busy", "^OK"),
    "client list | grep -E 'flags=[a-zA-Z]*b' | grep -oE ' (addr|cmd)=[^ ]+'": ("with a waiting client", "cmd=blpop"),
    "info replication | grep -E '^(role|master_)'": ("cut off", "master_link_status:down"),
    "info replication | grep -E '^(role|master_|connected_slaves)'": ("cut off", "role:slave"),
    "info replication | grep -E '^(connected_slaves|slave[0-9])'": ("primary", "slave0:.*state=online"),
    "info replication | grep -E '^(slave[0-9]|master_repl_offset|repl_backlog)'": ("primary", "slave0:.*lag="),
    "cluster info": ("failing cluster", "cluster_state:fail"),
    "cluster nodes | grep -E 'fail|handshake|noaddr'": ("failing cluster", "fail"),
}
OF_TWO = {
    "redis-cli {{ first_connection }} info replication": "role:master",
    "redis-cli {{ second_connection }} info replication  # which one do clients write to?": "role:slave",
}
ENDLESS = {"--latency-history -i 1": r"min: \d"}
NOT_TYPED = {
    "config set activedefrag yes  # refused if built without jemalloc": "the wheel's server was built without jemalloc",
}
NUMBERS = {"raised": 80_000_000, "suggested": 90_000_000, "threshold": 10_000, "slowest": "ping"}
REFUSED = re.compile(r"^\(?error|^(ERR|NOAUTH|NOPERM|WRONGPASS)|AUTH failed", re.MULTILINE)


def redis_cli(command: str) -> str:
    return f"redis-cli {{{{ connection }}}} {command}"


def typed_at(target: RedisTarget, command: str, **how: float) -> str:
    """The output of a command of a finding about a target of one server, whose policy has `${REDIS_URL}`."""
    variables, path = {"REDIS_URL": target.url.get_secret_value()}, str(redis_of_version(6).parent)
    output = typed(command, {**target.facts(), **NUMBERS}, variables, path=path, **how)
    assert not REFUSED.search(output), output
    return output


def one(server: Redis) -> RedisTarget:
    return RedisTarget(kind="redis", url=server.url)


def several(*servers: Redis, user: str = "") -> RedisTarget:
    login = f"{user}:{urlsplit(servers[0].url).password}"
    return RedisTarget(kind="redis", url=f"redis://{login}@" + ",".join(f"127.0.0.1:{one.port}" for one in servers))


@pytest.fixture(name="healthy", scope="module")
def _healthy(redis_program) -> Iterator[Redis]:
    with Redis() as server:
        say(server, "SET", "key", "value", "EX", "3600")
        set_config(server, slowlog_log_slower_than="0")
        say(server, "PING")
        yield server


@pytest.fixture(name="state")
def _state(redis_program, tmp_path):
    """Starts a server in a state, by its name in the table."""
    running = []

    def start(name: str) -> Redis:
        if name in {"cut off", "primary"}:
            pair = entered(replicated())
            if name == "cut off":
                pair.cut()
            return pair.replica if name == "cut off" else pair.primary
        if name == "failing cluster":
            first, *_, last = entered(redis_cluster())
            last.stop()
            eventually(lambda: "cluster_state:fail" in say(first, "CLUSTER", "INFO"), "the cluster does not fail")
            return first
        server = entered(Redis())
        entered(
            {
                "without a disk": lambda: failing_snapshots(server, tmp_path / "gone"),
                "busy": lambda: blocked_by_a_script(server),
                "with a waiting client": lambda: said_and_not_awaited(server, "BLPOP", "queue", "0"),
            }[name]()
        )
        if name == "with a waiting client":
            eventually(lambda: info(server, "clients")["blocked_clients"] == "1", "no client waits")
        return server

    def entered(context):
        running.append(context)
        return context.__enter__()

    yield start
    for context in reversed(running):
        context.__exit__(None, None, None)


@pytest.mark.usefixtures("redis_program")
def test_every_declared_command_is_in_one_table():
    listed = [*map(redis_cli, [*HEALTHY, *IN_STATE, *ENDLESS, *NOT_TYPED]), *OF_TWO]

    assert sorted(declared_commands(expectations_of(SYSTEM))) == sorted(listed)


@pytest.mark.parametrize("command", HEALTHY)
def test_command_works_with_the_policys_variable(healthy, command):
    eventually(lambda: _writes_nothing(healthy), "it still writes its files")

    assert re.search(HEALTHY[command], typed_at(one(healthy), redis_cli(command)))


@pytest.mark.parametrize("command", ENDLESS)
def test_endless_command_prints_at_a_terminal(healthy, command):
    output = typed_at(one(healthy), redis_cli(command), seconds_at_a_terminal=3)

    assert re.search(ENDLESS[command], output)


@pytest.mark.parametrize("command", IN_STATE)
def test_command_works_in_the_state_it_is_for(state, command):
    name, expected = IN_STATE[command]

    assert re.search(expected, typed_at(one(state(name)), redis_cli(command)), re.MULTILINE)


@pytest.mark.usefixtures("redis_program")
def test_commands_for_several_servers_take_rediscli_auth():
    with replicated() as pair:
        target = several(pair.primary, pair.replica)
        first, second = (target.connection_to(f"127.0.0.1:{server.port}") for server in (pair.primary, pair.replica))
        variables = {"REDISCLI_AUTH": pair.primary._password}
        path = str(redis_of_version(6).parent)
        outputs = {
            command: typed(command, {"first_connection": first, "second_connection": second}, variables, path=path)
            for command in OF_TWO
        }

    assert target.hides_password
    assert target.facts() == {}
    assert [command for command, expected in OF_TWO.items() if expected not in outputs[command]] == []


def test_commands_log_in_as_the_user_of_the_url(healthy):
    url = user_url(healthy, "opscheck", "+@all", "~*")
    login = urlsplit(url)
    target = RedisTarget(kind="redis", url=url)
    apart = RedisTarget(kind="redis", url=f"{url.rpartition('/')[0]},127.0.0.1:1")
    connection = apart.connection_to(f"127.0.0.1:{healthy.port}")
    path = str(redis_of_version(6).parent)

    assert typed_at(target, redis_cli("acl whoami")) == "opscheck\n"
    variables = {"REDISCLI_AUTH": unquote(str(login.password))}
    assert typed(redis_cli("acl whoami"), {"connection": connection}, variables, path=path) == "opscheck\n"


def test_unix_socket_is_an_option_of_its_own(redis_program, tmp_path):
    path = tmp_path / "redis.sock"
    with Redis(unixsocket=str(path)) as server:
        password = str(urlsplit(server.url).password)
        target = RedisTarget(kind="redis", url=f"unix://:{password}@{path}")
        facts, variables = target.facts(), {"REDISCLI_AUTH": server._password}
        output = typed(redis_cli("ping"), facts, variables, path=str(redis_of_version(6).parent))

    assert target.hides_password
    assert output == "PONG\n"


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"url": "redis://cache:6379/1"}, ("-u", "redis://cache:6379/1")),
        ({"url": "valkey://app:pw@cache"}, ("-h", "cache", "-p", "6379", "--user", "app")),
        ({"url": "rediss://cache", "ca_file": "ca.pem"}, ("-u", "rediss://cache", "--cacert", "ca.pem")),
        ({"url": "valkeys://[::1]:7000/2"}, ("-h", "::1", "-p", "7000", "--tls")),
        ({"url": "${REDIS_URL}"}, ("-u", "${REDIS_URL}")),
        (
            {"url": "rediss://cache", "client_certificate": "own.pem"},
            ("-u", "rediss://cache", "--cert", "own.pem", "--key", "own.pem"),
        ),
    ],
)
def test_connection_has_the_options_of_redis_cli(fields, options):
    assert RedisTarget(kind="redis", **fields).facts()["connection"] == options


def _writes_nothing(server: Redis) -> bool:
    said = info(server, "persistence")
    return ("0", "0") == (said["rdb_bgsave_in_progress"], said["aof_rewrite_in_progress"])
