"""Services of a compose file that are reached on this machine."""

from datetime import date

import pytest

from opscheck.core.discovery import DiscoveryInput, Service
from opscheck.core.published import Published, published


def found(*services, environment=None):
    given = DiscoveryInput(services=services, environment=environment or {}, today=date(2026, 3, 1))
    return published(given, {"redis", "valkey"}, (6379,), {"redis"})


@pytest.mark.parametrize(
    "image",
    ["redis", "redis:7", "docker.io/library/redis:7.2-alpine", "registry:5000/redis@sha256:ab", "valkey/valkey:8"],
)
def test_image_is_recognised_by_its_name(image):
    service = Service(name="cache", image=image, ports={6379: 16379})

    assert found(service) == ([Published(service, 16379, "CACHE_URL")], [])


@pytest.mark.parametrize("image", ["redis-exporter", "oliver006/redis_exporter:v1", "redis/redisinsight", "nginx"])
def test_other_image_is_left_out(image):
    assert found(Service(name="cache", image=image, ports={6379: 6379})) == ([], [])


def test_address_is_read_from_a_variable_of_the_service():
    ((one,), _) = found(Service(name="main-cache", image="redis", ports={6379: 6380}))

    assert (one.id, one.variable, one.address) == ("main-cache", "MAIN_CACHE_URL", "127.0.0.1:6380")


def test_service_that_publishes_no_port_is_reported():
    assert found(Service(name="cache", image="redis", ports={9999: 9999})) == (
        [],
        ["cache: not proposed: the compose file publishes no port for 6379"],
    )


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1:6380/0", "redis://user:word@localhost:6380", "redis://[::1]:6380", "redis://cache:6379/1"],
)
def test_service_that_a_variable_leads_to_is_left_out(url):
    service = Service(name="cache", image="redis", ports={6379: 6380})

    assert found(service, environment={"REDIS_URL": url}) == ([], [])


@pytest.mark.parametrize(
    "url", ["redis://localhost/0", "redis://elsewhere:6380", "redis://cache:6380", "http://localhost:6380"]
)
def test_variable_that_leads_elsewhere_hides_no_service(url):
    service = Service(name="cache", image="redis", ports={6379: 6380})

    assert found(service, environment={"REDIS_URL": url}) == ([Published(service, 6380, "CACHE_URL")], [])


def test_variable_without_a_port_means_the_usual_one():
    service = Service(name="cache", image="redis", ports={6379: 6379})

    assert found(service, environment={"REDIS_URL": "redis://localhost"}) == ([], [])


def test_variable_that_leads_elsewhere_is_not_taken():
    ((one,), _) = found(
        Service(name="redis", image="redis", ports={6379: 6380}), environment={"REDIS_URL": "redis://a"}
    )

    assert one.variable == "COMPOSE_REDIS_URL"


def test_target_has_the_published_address_unless_its_variable_is_set():
    service = Service(name="cache", image="redis:7", ports={6379: 6380}, environment={"REDIS_PASSWORD": "planted"})
    target = Published(service, 6380, "CACHE_URL").target("redis", "url", "redis://127.0.0.1:6380")

    assert target.fields == {"kind": "redis", "url": "${CACHE_URL:-redis://127.0.0.1:6380}"}
    assert target.seen == (
        "Service cache of the compose file (redis:7), published on 127.0.0.1:6380. "
        "Set CACHE_URL where it has a password, or another address."
    )


def test_target_with_a_login_shows_its_variable():
    service = Service(name="db", image="postgres:17", ports={5432: 5433}, environment={"POSTGRES_PASSWORD": "planted"})
    target = Published(service, 5433, "DB_URL").target_with_login(
        "postgres", "dsn", "postgresql://USER@127.0.0.1:5433/"
    )

    assert target.fields == {"kind": "postgres", "dsn": "${DB_URL}"}
    assert target.seen.endswith("127.0.0.1:5433. Set DB_URL, such as postgresql://USER@127.0.0.1:5433/.")
    assert "planted" not in repr(target)
