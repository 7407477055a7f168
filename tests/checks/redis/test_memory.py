"""redis.memory against real servers that are full under each policy, and the traps of the numbers."""

import pytest

from checks.redis import test_memory
from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, ProblemKind
from opscheck.demo.redis import Redis
from opscheck.systems.redis.info import Database, ServerInfo
from opscheck.systems.redis.memory import RedisMemory
from tests.checks.redis import judging
from tests.checks.redis.judging import ADDRESS, before, commands, look
from tests.servers.redis import fill, loading, say, set_config

pytestmark = pytest.mark.usefixtures("redis_program")

USED = {"P2": "80%", "P0": "95%"}
ROOMY = ServerInfo(
    run_id="a",
    used_memory=10_000_000,
    used_memory_rss=12_000_000,
    total_system_memory=1_000_000_000,
    maxmemory=100_000_000,
    maxmemory_policy="noeviction",
    mem_fragmentation_ratio=1.2,
    mem_fragmentation_bytes=2_000_000,
    uptime_in_seconds=3600,
    evicted_keys=0,
    databases=(),
)


def judged(server, **fields):
    return judging.judged(test_memory.test_there_is_memory_for_what_is_written, RedisMemory, server, **fields)


def with_(**fields) -> ServerInfo:
    return ServerInfo(**{name: getattr(ROOMY, name) for name in ROOMY.__struct_fields__} | fields)


@pytest.fixture(name="redis", scope="module")
def _redis(redis_program):
    with Redis(maxmemory="8mb") as server:
        yield server


# A full server, by eviction policy


def test_server_with_free_memory_passes_with_a_measurement(redis):
    say(redis, "FLUSHALL")

    findings = judged(redis, used=USED)

    assert [] == findings.violations
    used = findings.measurements[-1]
    assert ("non-evictable memory", "%", 80.0) == (used.name, used.unit, used.limit)
    assert 0 < used.value < 40
    assert f"redis://127.0.0.1:{redis.port}/0" == used.subject


def test_full_without_eviction_is_a_write_outage():
    with Redis(maxmemory="8mb") as redis:
        fill(redis)
        assert "OOM command not allowed" in say(redis, "SET", "one", "x" * 20_000)

        (finding,) = judged(redis, used=USED).violations

    assert (Severity.P0, "<= 95%") == (finding.severity, finding.expected)
    assert "noeviction" in finding.observed
    assert "of 8.39MB" in finding.observed


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_full_cache_passes_with_an_allkeys_policy(policy):
    with Redis(maxmemory="8mb", **{"maxmemory-policy": policy}) as redis:
        fill(redis)

        findings = judged(redis, used=USED)

    assert [] == findings.violations
    assert [used.value > 80 for used in findings.measurements if used.name == "memory used"] == [True]


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-ttl"])
def test_full_server_without_ttl_keys_is_a_write_outage(policy):
    with Redis(maxmemory="8mb", **{"maxmemory-policy": policy}) as redis:
        fill(redis)

        (finding,) = judged(redis, used=USED).violations

    assert Severity.P0 is finding.severity
    assert "no key has a TTL, so none can be evicted" in finding.observed


def test_full_of_keys_that_expire_is_not():
    with Redis(maxmemory="8mb", **{"maxmemory-policy": "volatile-lru"}) as redis:
        fill(redis, "EX", "3600")

        findings = judged(redis, used=USED)

    assert [] == findings.violations


def test_evictable_share_is_estimated_by_keys_with_a_ttl():
    almost_full = with_(used_memory=95_000_000, maxmemory_policy="volatile-ttl")
    few = with_(
        used_memory=95_000_000, maxmemory_policy="volatile-ttl", databases=(Database(name="db0", keys=100, expires=4),)
    )

    assert "non-evictable memory 95%" in judged(almost_full, used={"P1": "80%"}).violations[0].observed
    (finding,) = judged(few, used={"P1": "80%"}).violations
    assert "non-evictable memory 91.2% (95MB of 100MB, volatile-ttl, 4 of 100 keys" in finding.observed


def test_buffers_that_do_not_count_against_maxmemory_do_not_count():
    """Those of replicas and of the append-only file."""
    assert [] == judged(with_(used_memory=99_000_000, mem_not_counted_for_evict=50_000_000), used=USED).violations


@pytest.mark.parametrize("fields", [{"current_eviction_exceeded_time": 60_000}, {"used_memory": 120_000_000}], ids=str)
def test_eviction_that_makes_no_room_is_found(fields):
    (finding,) = judged(with_(**{"maxmemory_policy": "allkeys-lru"} | fields), used=USED).violations

    assert Severity.P0 is finding.severity
    assert "eviction frees no memory" in finding.observed
    assert any("memory stats" in command for command in commands(finding))


# maxmemory 0


def test_no_maxmemory_is_found_and_the_machine_is_the_limit():
    with Redis(maxmemory="0") as redis:
        findings = judged(redis, used=USED)

    (finding,) = findings.violations
    assert Severity.P2 is finding.severity
    assert "maxmemory is not set: the server grows until it is killed" == finding.observed
    assert any("config set maxmemory" in command for command in commands(finding))
    assert findings.measurements[-1].value < 5


def test_no_maxmemory_may_be_meant():
    with Redis(maxmemory="0") as redis:
        assert [] == judged(redis, used=USED, unlimited=True).violations


def test_container_limit_below_maxmemory_is_used():
    info = with_(maxmemory=0, used_memory_rss=480_000_000)

    unlimited, full = judged(info, used=USED, limit="500MB").violations

    assert Severity.P2 is unlimited.severity
    assert (Severity.P0, "non-evictable memory 96% (480MB of 500MB, `limit`)") == (full.severity, full.observed)


def test_a_maxmemory_above_the_containers_limit_is_found():
    (finding,) = judged(with_(maxmemory=600_000_000), used=USED, limit="500MB").violations

    assert "maxmemory 600MB is above the memory limit of 500MB" == finding.observed
    assert commands(finding)[-1].endswith("config set maxmemory 375000000  # and in its configuration file")


# Evictions


def test_keys_that_a_cache_evicts_are_counted_over_the_interval():
    with Redis(maxmemory="8mb", **{"maxmemory-policy": "allkeys-lru"}) as redis:
        fill(redis)
        earlier = before(look(redis), 120)
        quiet = judged(redis, evicted={"P3": 10}, earlier=earlier)
        say(redis, "DEBUG", "POPULATE", "1000", "more", "10000")

        (finding,) = judged(redis, evicted={"P3": 10}, earlier=earlier).violations

    assert [] == quiet.violations
    assert (Severity.P3, "<= 10") == (finding.severity, finding.expected)
    assert "over 2m" in finding.observed


def test_store_with_evictions_and_an_allkeys_policy_is_reported():
    with Redis(maxmemory="8mb", **{"maxmemory-policy": "allkeys-lru"}) as redis:
        fill(redis)
        earlier = before(look(redis), 60)
        say(redis, "DEBUG", "POPULATE", "1000", "more", "10000")

        lossy, evicting = judged(redis, used=USED, severity="P1", purpose="store", earlier=earlier).violations

    assert (Severity.P1, "maxmemory-policy allkeys-lru may evict any key") == (lossy.severity, lossy.observed)
    assert (Severity.P1, "<= 0") == (evicting.severity, evicting.expected)
    assert not set(commands(lossy)) & set(commands(evicting))


def test_first_sample_is_unknown_and_other_limits_are_judged():
    info = with_(used_memory=99_000_000)

    with pytest.raises(CouldNotObserve) as raised:
        judged(info, evicted={"P1": 0}, earlier={})

    assert ProblemKind.FIRST_SAMPLE is raised.value.problem.kind


def test_a_restart_begins_a_new_count():
    with pytest.raises(CouldNotObserve) as raised:
        judged(ROOMY, evicted={"P1": 0}, earlier=before(judging.said(with_(run_id="b")), 3600))

    assert "counters were reset" in raised.value.problem.text


def test_counters_that_shrank_were_reset_without_a_restart():
    """CONFIG RESETSTAT."""
    with pytest.raises(CouldNotObserve) as raised:
        judged(ROOMY, evicted={"P1": 0}, earlier=before(judging.said(with_(evicted_keys=7)), 3600))

    assert "counters were reset" in raised.value.problem.text


def test_a_counter_that_was_not_there_before_is_unknown():
    with pytest.raises(CouldNotObserve) as raised:
        judged(ROOMY, evicted={"P1": 0}, earlier=before(judging.said(with_(evicted_keys=None)), 3600))

    assert "does not report evicted_keys" in raised.value.problem.text


def test_lifetime_is_judged_with_first_sample_lifetime(redis):
    findings = judged(redis, evicted={"P1": 0}, first_sample="lifetime")

    assert ["keys evicted per minute"] == [one.name for one in findings.measurements]


# Fragmentation, and swap


def test_fragmentation_of_a_small_server_is_not_judged(redis):
    """A ratio of 5 is normal at a megabyte."""
    findings = judged(redis, fragmentation={"P3": 1.01})

    assert [] == findings.violations
    assert ["fragmentation"] == [one.name for one in findings.measurements]


def test_fragmentation_of_a_large_server_is():
    info = with_(mem_fragmentation_ratio=1.9, mem_fragmentation_bytes=900_000_000, used_memory=1_000_000_000)

    (finding,) = judged(info, fragmentation={"P3": 1.5, "P2": 2.5}).violations

    assert (Severity.P3, "<= 1.5") == (finding.severity, finding.expected)
    assert "fragmentation 1.9 (900MB above 1GB in use)" == finding.observed


def test_memory_that_is_swapped_out_is_found():
    info = with_(used_memory=2_000_000_000, used_memory_rss=1_500_000_000)

    (finding,) = judged(info, swapped={"P2": "200MB"}).violations

    assert "swapped memory 500MB" == finding.observed
    assert ADDRESS == finding.subject


# Missing fields


@pytest.mark.parametrize(
    ("missing", "fields"),
    [
        ("maxmemory", {"used": USED}),
        ("used_memory", {"used": USED}),
        ("maxmemory_policy", {"used": USED}),
        ("mem_fragmentation_ratio", {"fragmentation": {"P3": 1.5}}),
        ("used_memory_rss", {"swapped": {"P2": "200MB"}}),
    ],
)
def test_missing_number_is_unknown_and_not_0(missing, fields):
    with pytest.raises(CouldNotObserve) as raised:
        judged(with_(**{missing: None}), **fields)

    assert f"cache.example:6379 does not report {missing}" == raised.value.problem.text


def test_a_server_that_loads_is_unknown():
    with Redis() as redis, loading(redis), pytest.raises(CouldNotObserve) as raised:
        judged(redis, used=USED)

    assert "loading its data set from disk" in raised.value.problem.text


def test_info_sections_and_memory_doctor_are_supported(redis):
    """Those that change nothing are typed."""
    set_config(redis, maxmemory_policy="noeviction")

    assert "evicted_keys" in say(redis, "INFO", "stats")
    assert "maxmemory_policy" in say(redis, "INFO", "memory")
    assert "Sam" in say(redis, "MEMORY", "DOCTOR")
