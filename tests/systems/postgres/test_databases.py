"""Where psql can connect to."""

import pytest

from opscheck.systems.postgres.databases import connectable


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("shop", True), ('od d "x"', True), ("", False), ("host=evil", False), ("postgresql://evil/shop", False)],
)
def test_what_psql_takes_for_a_connection_string_is_no_name_to_it(name, is_one):
    assert is_one == connectable(name)
