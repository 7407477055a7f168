"""What a policy may say of targets."""

import pytest
from pydantic import ValidationError

from opscheck import HostTarget, HttpTarget, PostgresTarget, RedisTarget
from opscheck.core.target import without_credentials
from opscheck.systems.redis.servers import DISCOVERY


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (HttpTarget, {"kind": "http", "base_url": "http://h"}),
        (PostgresTarget, {"kind": "postgres", "dsn": "postgres://h"}),
        (HostTarget, {"kind": "host", "uri": "local://"}),
    ],
)
def test_a_target_that_may_be_asked_nothing_at_a_time_would_never_answer(kind, fields):
    with pytest.raises(ValidationError):
        kind(**fields, concurrency=0)


def test_commands_can_name_an_api_without_its_credentials():
    api = HttpTarget(kind="http", base_url="https://ops:geheim@api.example.com/")

    assert {"base_url": "https://api.example.com"} == api.facts()


def test_commands_can_name_a_data_store_as_opscheck_reaches_it():
    url = "redis://:geheim@cache.example:6379/0"

    assert {"url": url} == RedisTarget(kind="redis", url=url).facts()
    assert {"dsn": "dbname=shop"} == PostgresTarget(kind="postgres", dsn="dbname=shop").facts()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ops:geheim@api.example.com/v1?token=geheim#geheim", "https://api.example.com/v1"),
        ("https://geheim@api.example.com", "https://api.example.com"),
        ("https://registry.example.com:8443/v2/@scope", "https://registry.example.com:8443/v2/@scope"),
        ("postgres://app:ge@heim@db.example.com:5432/shop", "postgres://db.example.com:5432/shop"),
        ("postgres://app:geheim@one:5432,two:5433/shop", "postgres://one:5432,two:5433/shop"),
        ("postgres://app:geheim?geheim@db.example.com/shop", "postgres://db.example.com/shop"),
        ("postgres://app:geheim/geheim@db.example.com/shop", "postgres://db.example.com/shop"),
        ("host=db.example.com user=app password='geheim host=geheim' dbname=shop", "host=db.example.com dbname=shop"),
        ("host = db.example.com port = 5432 password = geheim", "host=db.example.com port=5432"),
        ("password=geheim://geheim host=db.example.com", "host=db.example.com"),
        ("dbname=postgres://app:geheim@db.example.com/shop", "dbname=postgres://db.example.com/shop"),
        ("redis://:geheim@[::1]:6379/0", "redis://[::1]:6379/0"),
        ("unix://:geheim@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("ssh://root:geheim@db.example.com:22", "ssh://db.example.com:22"),
        ("local://", "local://"),
        ("${DATABASE_URL}", "${DATABASE_URL}"),
    ],
)
def test_an_address_says_where_a_target_is_and_nothing_of_its_credentials(address, shown):
    assert shown == without_credentials(address)


def test_a_host_name_alone_is_the_address_of_a_host():
    assert "web1" == HostTarget(kind="host", uri="ops@web1").address
    assert "ssh://web1" == HostTarget(kind="host", uri="ssh://ops@web1").address


@pytest.mark.parametrize(
    ("fields", "finds", "is_one"),
    [
        ({"url": "redis://one"}, "", True),
        ({"url": "redis://one,two"}, "", False),
        ({"url": "redis://one", "nodes": "cluster"}, "cluster", False),
        ({"url": "redis://one", "nodes": "replicas"}, "replicas", False),
        ({"url": "redis://one", "sentinel": "cache"}, "sentinel", False),
        ({"url": "redis://one", "sentinel": "cache", "nodes": "replicas"}, "sentinel, replicas", False),
    ],
)
def test_a_redis_target_knows_whether_it_is_one_server(fields, finds, is_one):
    target = RedisTarget(kind="redis", **fields)

    assert (finds, is_one) == (target.finds, target.is_one_server)
    assert ({"url": fields["url"]} if is_one else {}) == target.facts()
    assert finds == "" or finds in DISCOVERY


def test_each_server_of_a_redis_target_has_an_address_of_its_own():
    one = RedisTarget(kind="redis", url="redis://:geheim@cache.example/3")
    several = RedisTarget(kind="redis", url="rediss://ops:geheim@one:1,two:2/3")

    assert "redis://cache.example/3" == one.address_of("cache.example:6379")
    assert "rediss://two:2" == several.address_of("two:2")
    assert "rediss://one:1,two:2/3" == several.address


@pytest.mark.parametrize("fields", [{"sentinel": ""}, {"sentinel": "cache", "nodes": "cluster"}, {"nodes": "every"}])
def test_a_redis_target_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValidationError):
        RedisTarget(kind="redis", url="redis://one", **fields)
