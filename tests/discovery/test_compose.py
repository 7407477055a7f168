"""The services of a compose file."""

import pytest

from opscheck.core.exit_codes import UserError
from opscheck.discovery.compose import read_services

COMPOSE = """
services:
  web: {build: .}
  db:
    image: postgres:18
    ports: ["127.0.0.1:15432:5432", "6000"]
    environment: {POSTGRES_PASSWORD: planted, POSTGRES_DB: shop, EMPTY: }
    healthcheck: {test: [CMD, pg_isready]}
  cache:
    image: redis:8
    ports: [{target: 6379, published: 16379}, "9000-9010:9000-9010", "53:53/udp"]
    environment: ["REDIS_ARGS=--save ''", ALONE]
"""


def test_services_with_an_image_are_read(tmp_path):
    path = tmp_path / "compose.yaml"
    path.write_text(COMPOSE)

    cache, db = read_services(path, {})

    assert (cache.name, cache.image, cache.ports, cache.has_healthcheck) == ("cache", "redis:8", {6379: 16379}, False)
    assert (db.name, db.image, db.ports, db.has_healthcheck) == ("db", "postgres:18", {5432: 15432}, True)
    assert dict(db.environment) == {"POSTGRES_PASSWORD": "planted", "POSTGRES_DB": "shop", "EMPTY": ""}
    assert dict(cache.environment) == {"REDIS_ARGS": "--save ''", "ALONE": ""}
    assert "planted" not in repr(db)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [planted", "not valid YAML"),
        ("planted", "no `services`"),
        ("services: planted", "no `services`"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_other_files_are_refused_without_their_content(tmp_path, content, says):
    path = tmp_path / "compose.yaml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(UserError) as refused:
        read_services(path, {})

    assert says in str(refused.value)
    assert "planted" not in str(refused.value)


@pytest.mark.parametrize(
    ("port", "published"),
    [
        ("${PG_PORT:-5433}:5432", 5433),
        ("${PG_PORT-5433}:5432", 5433),
        ("${SET_PORT:-1}:5432", 7000),
        ("${NONE}:1", None),
    ],
)
def test_variable_in_a_port_is_replaced(tmp_path, port, published):
    path = tmp_path / "compose.yaml"
    path.write_text(f"services: {{db: {{image: postgres, ports: ['{port}']}}}}")

    (db,) = read_services(path, {"SET_PORT": "7000"})

    assert db.ports.get(5432) == published
