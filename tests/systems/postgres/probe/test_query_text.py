"""The shown text of a statement: its keywords, never its values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.postgres.probe.query_text import NO_STATEMENT, masked

SECRET = "hunter2"

SHOWN = {
    "SELECT 1": "SELECT ?",
    "select * from t where id = 42 and name = 'x'": "select * from t where id = ? and name = ?",
    "SELECT 1.5, .5, 1e-5, 0xFF, 1_000": "SELECT ?, …",
    "SELECT * FROM t1 WHERE a1 = $1": "SELECT * FROM t1 WHERE a1 = $1",
    "SELECT 'it''s', E'it\\'s', U&'d\\0061t', B'01', X'1F', N'x'": "SELECT ?, …",
    "SELECT $$a$$ || $tag$b $$ c$tag$ || x": "SELECT ? || ? || x",
    "DO $body$ BEGIN RAISE 'secret'; END $body$": "DO ?",
    "SELECT a$b$c FROM t": "SELECT a$b$c FROM t",
    'SELECT "order"."id" FROM "Orders"': 'SELECT "order"."id" FROM "Orders"',
    'SELECT * FROM t WHERE mail = "maria@example.com"': 'SELECT * FROM t WHERE mail = "?"',
    "/* user=7 */ SELECT a -- b\n FROM t": "SELECT a FROM t",
    "SELECT a /* one /* two */ still */ FROM t": "SELECT a FROM t",
    "SELECT\n\t a,\r\n b": "SELECT a, b",
    "SELECT * FROM t WHERE id IN (1, 2, 3) AND b IN (4)": "SELECT * FROM t WHERE id IN (?, …) AND b IN (?)",
    "(SELECT 1) UNION (SELECT 2)": "(SELECT ?) UNION (SELECT ?)",
    "SELECT data ? 'key' FROM t": "SELECT data ? ? FROM t",
    "autovacuum: VACUUM public.orders": "autovacuum: VACUUM public.orders",
    "ALTER ROLE app PASSWORD 'hunter2'": "ALTER ROLE app PASSWORD ?",
    "": "",
    " -- nothing\n;": "",
    "hunter2": NO_STATEMENT,
    "'hunter2'": NO_STATEMENT,
    "<insufficient privilege>": NO_STATEMENT,
}


@pytest.mark.parametrize(("query", "shown"), SHOWN.items(), ids=list(SHOWN))
def test_values_are_replaced_and_keywords_kept(query, shown):
    assert shown == masked(query)


@pytest.mark.parametrize(
    "cut",
    [
        "'hunter2",
        "E'hunter2\\",
        "$tag$ hunter2 $ta",
        "/* hunter2",
        "U&'hunter2",
        '"hunter2',
        "-- hunter2",
        "'hunter2''",
    ],
)
def test_value_cut_by_the_server_is_masked(cut):
    assert "SELECT a =" == masked(f"SELECT a = {cut}").rstrip('"? ')


@pytest.mark.parametrize(
    "query",
    [
        # With standard_conforming_strings off the string goes on, and `hunter2` is in it; with it on it does not.
        "SELECT 'it\\'s hunter2'",
        "SELECT 'C:\\' || hunter2 || '",
        "SELECT 'a' 'it\\'s hunter2'",
        "SELECT hunter2 \\ 'x'",
    ],
)
def test_ambiguous_statement_shows_its_first_keyword(query):
    assert "SELECT …" == masked(query)


def test_long_statement_is_cut():
    text = masked("SELECT " + ", ".join(f"column_{number}" for number in range(1000)), 80)

    assert len(text) <= 80
    assert text.startswith("SELECT column_0, column_1")
    assert text.endswith(" …")


_ANYTHING = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
_DOLLARS = st.text(st.sampled_from("abcé_"), max_size=3).map(lambda tag: f"${tag}$")


def _doubled(value: str) -> str:
    return value.replace("'", "''")


_FORMS = {
    "plain": lambda value, _: f"'{_doubled(value)}'",
    "national": lambda value, _: f"N'{_doubled(value)}'",
    "escaped": lambda value, _: "E'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "doubled": lambda value, _: "e'" + _doubled(value.replace("\\", "\\\\")) + "'",
    "unicode": lambda value, _: f"U&'{_doubled(value)}'",
    "continued": lambda value, _: f"'x'\n'{_doubled(value)}'",
    "dollars": lambda value, mark: f"{mark}{value.replace('$', '')}{mark}",
    "comment": lambda value, _: f"/* {value.replace('*', '').replace('/', '')} /* */ */ 1",
    "line": lambda value, _: f"-- {' '.join(value.splitlines())}\n 1",
}


@st.composite
def statements(draw, form) -> str:
    """With a secret in several values among which some are odd; some are cut off, as the server does it."""
    mark = draw(_DOLLARS)
    odd, before, after = (draw(_ANYTHING) for _ in range(3))
    first, second, third = (form(value, mark) for value in (odd, f"{before}{SECRET}{after}", SECRET))
    text = f"VALUES ({first}, {second}), (a, {third})"
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


@pytest.mark.parametrize("form", _FORMS.values(), ids=list(_FORMS))
@given(data=st.data())
def test_planted_literal_is_never_shown(form, data):
    assert SECRET not in masked(data.draw(statements(form)), 10_000)


@given(st.integers(10_000, 10**12), st.sampled_from(["{}", "-{}", "{}.5", ".{}", "{}e5", "0x{}", "{}::text", "a.b={}"]))
def test_planted_number_is_never_shown(number, form):
    assert str(number) not in masked(f"SELECT a > {form.format(number)}, b", 10_000)


@given(st.text())
def test_any_text_becomes_one_line(text):
    assert "\n" not in masked(text)
    assert len(masked(text)) <= 300
