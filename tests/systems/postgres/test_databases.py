"""Where psql can connect to."""

import pytest

from opscheck.systems.postgres.databases import connectable


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("shop", True), ('od d "x"', True), ("", False), ("host=evil", False), ("postgresql://evil/shop", False)],
)
def test_name_like_a_connection_string_is_not_connectable(name, is_one):
    assert is_one == connectable(name)
