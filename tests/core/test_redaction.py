"""What is secret never shows, however an output spells it."""

import base64
import json
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.core.redaction import HIDDEN, Secrets, credentials

SPELLINGS = {
    "as it is": str,
    "quoted for a URL": lambda text: quote(text, safe=""),
    "as JSON": json.dumps,
    "as JSON with letters of every script": lambda text: json.dumps(text, ensure_ascii=False),
    "as XML text": escape,
    "as an XML attribute": quoteattr,
    "as Python shows it": repr,
    "as Python shows a text that shows it": lambda text: repr(repr(text)),
}
secret_texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF), min_size=8, max_size=40)


def hiding(*values: str) -> Secrets:
    secrets = Secrets()
    for value in values:
        secrets.add(value)
    return secrets


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(secret=secret_texts.filter(lambda text: set(text) != {"*"}))
def test_a_secret_is_hidden_however_it_is_spelt(spelling, secret):
    spelt = SPELLINGS[spelling](secret)

    assert secret not in hiding(secret).clean(f"<{spelt}>")


def test_a_value_from_the_environment_shows_as_the_reference_it_came_from():
    secrets = Secrets()
    secrets.add("open-sesame", "${API_TOKEN}")

    assert secrets.clean("Bearer open-sesame") == "Bearer ${API_TOKEN}"


def test_the_word_that_stands_for_a_secret_is_not_hidden_itself():
    secrets = Secrets()
    secrets.add("${API_TOKEN}", "${API_TOKEN}")

    assert secrets.clean("${API_TOKEN}") == "${API_TOKEN}"


def test_what_was_hidden_as_a_reference_can_be_restored_where_the_variable_is_known():
    secrets = hiding("open-sesame")
    secrets.add("orders", "${DB_NAME}")
    written = {"name": ["orders", "open-sesame", "${OTHER}", "${HOME} is not ours"]}

    restored = secrets.restore_value(secrets.clean_value(written))

    assert {"name": ["orders", "***", "${OTHER}", "${HOME} is not ours"]} == restored


def test_without_references_there_is_nothing_to_restore():
    written = ["${DB_NAME}"]

    assert written is hiding("open-sesame").restore_value(written)


def test_the_longer_secret_goes_first_so_that_none_of_it_is_left():
    secrets = hiding("sesame-open", "sesame-open-and-close")

    assert secrets.clean("sesame-open-and-close") == HIDDEN


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("pin 4711", "pin ***"), ("port 54711", "port 54711"), ("4711a", "4711a"), ("(4711)", "(***)")],
)
def test_a_short_secret_is_hidden_where_it_stands_alone(text, cleaned):
    assert cleaned == hiding("4711").clean(text)


def test_three_characters_say_nothing_and_would_tear_every_text_apart():
    assert hiding("abc").clean("abc abc") == "abc abc"


def test_nothing_is_changed_where_nothing_is_secret():
    assert Secrets().clean("postgres://app:open-sesame@db/app") == "postgres://app:open-sesame@db/app"


@pytest.mark.parametrize(
    ("value", "inside"),
    [
        ("postgres://app:open-sesame@db.example.com/app", "open-sesame"),
        ("postgres://app:open%2Fsesame@db.example.com/app", "open/sesame"),
        ("postgres://app:open%2Fsesame@db.example.com/app", "open%2Fsesame"),
        ("redis://:open-sesame@cache.example.com:6379/0", "open-sesame"),
        ("host=db user=app password=open-sesame", "open-sesame"),
        ("host=db password='open sesame' user=app", "open sesame"),
        (r"host=db password='open\'sesame'", "open'sesame"),
        ("host=db password='open-sesame", "open-sesame"),
        ("https://api.example.com/v1?api_key=open-sesame&page=2", "open-sesame"),
        ("https://open-sesame@sentry.example.com/4", "open-sesame"),
        ("https://ops:open-sesame@api.example.com", base64.b64encode(b"ops:open-sesame").decode()),
    ],
)
def test_a_credential_inside_an_address_is_a_secret_of_its_own(value, inside):
    assert inside in set(credentials(value))
    assert inside not in hiding(value).clean(f"authentication failed: {inside}")


@pytest.mark.parametrize(
    "value",
    ["postgres://db.example.com/app", "redis://app@cache:6379", "host=db user=app", "http://[::1", "plain text", ""],
)
def test_where_no_credential_is_nothing_is_found(value):
    assert [] == list(credentials(value))


@given(st.text())
def test_any_text_can_be_searched_for_credentials(text):
    for credential in credentials(text):
        assert isinstance(credential, str)


def test_every_text_of_a_record_is_cleaned_its_keys_too():
    record = {"open-sesame": ["open-sesame", 3, None, {"url": "redis://:open-sesame@cache"}]}

    assert {HIDDEN: [HIDDEN, 3, None, {"url": "redis://:***@cache"}]} == hiding("open-sesame").clean_value(record)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("body: open-sesame-and-cl…", "body: ***…"),
        ("body: open-sesame-and-cl", "body: ***"),
        ("'open-sesame...se-the-door'", "'***...***'"),
        ("…e-and-close-the-door, open-ses…", "…***, ***…"),
        ("open-sesame is how the story goes", "open-sesame is how the story goes"),
        ("close-the-door", "close-the-door"),
        ("open-…", "open-…"),
    ],
)
def test_a_secret_that_was_cut_off_is_hidden_where_enough_of_it_is_left(text, shown):
    assert shown == hiding("open-sesame-and-close-the-door").clean(text)


def test_the_scheme_alone_is_no_part_of_a_secret_url():
    secrets = hiding("https://api.example.com")

    assert "begin it with https://…" == secrets.clean("begin it with https://…")
    assert "GET ***…" == secrets.clean("GET https://api.exam…")


@given(st.text(), st.text(min_size=8))
def test_any_text_can_be_searched_for_parts_of_any_secret(text, secret):
    assert isinstance(hiding(secret).clean(text + secret[:9] + "…" + secret[-9:]), str)


def test_a_name_that_is_how_a_url_begins_is_no_secret_that_was_cut_off():
    secrets = Secrets()
    secrets.add("postgresql://opscheck:hunter2hunter2@127.0.0.1:5432/shop", "${DATABASE_URL}")

    assert "the size of postgres" == secrets.clean("the size of postgres")
    assert "postgres…" == secrets.clean("postgres…")
