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
def test_secret_is_hidden_in_every_spelling(spelling, secret):
    spelt = SPELLINGS[spelling](secret)

    assert secret not in hiding(secret).clean(f"<{spelt}>")


def test_environment_value_is_shown_as_its_reference():
    secrets = Secrets()
    secrets.add("open-sesame", "${API_TOKEN}")

    assert secrets.clean("Bearer open-sesame") == "Bearer ${API_TOKEN}"


def test_replacement_of_a_secret_is_not_hidden():
    secrets = Secrets()
    secrets.add("${API_TOKEN}", "${API_TOKEN}")

    assert secrets.clean("${API_TOKEN}") == "${API_TOKEN}"


def test_hidden_reference_is_restored_when_the_variable_is_set():
    secrets = hiding("open-sesame")
    secrets.add("orders", "${DB_NAME}")
    written = {"name": ["orders", "open-sesame", "${OTHER}", "${HOME} is not ours"]}

    restored = secrets.restore_value(secrets.clean_value(written))

    assert {"name": ["orders", "***", "${OTHER}", "${HOME} is not ours"]} == restored


def test_text_without_references_is_not_restored():
    written = ["${DB_NAME}"]

    assert written is hiding("open-sesame").restore_value(written)


def test_longer_secret_is_replaced_first():
    secrets = hiding("sesame-open", "sesame-open-and-close")

    assert secrets.clean("sesame-open-and-close") == HIDDEN


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("pin 4711", "pin ***"), ("port 54711", "port 54711"), ("4711a", "4711a"), ("(4711)", "(***)")],
)
def test_short_secret_is_hidden_as_a_whole_word(text, cleaned):
    assert cleaned == hiding("4711").clean(text)


def test_secret_of_three_characters_is_not_hidden():
    assert hiding("abc").clean("abc abc") == "abc abc"


def test_text_without_secrets_is_unchanged():
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
def test_credential_in_a_url_is_hidden(value, inside):
    assert inside in set(credentials(value))
    assert inside not in hiding(value).clean(f"authentication failed: {inside}")


@pytest.mark.parametrize(
    "value",
    ["postgres://db.example.com/app", "redis://app@cache:6379", "host=db user=app", "http://[::1", "plain text", ""],
)
def test_text_without_credentials_has_none(value):
    assert [] == list(credentials(value))


@given(st.text())
def test_credentials_accepts_any_text(text):
    for credential in credentials(text):
        assert isinstance(credential, str)


def test_record_is_redacted_including_keys():
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
def test_truncated_secret_is_hidden(text, shown):
    assert shown == hiding("open-sesame-and-close-the-door").clean(text)


def test_scheme_of_a_secret_url_is_not_hidden():
    secrets = hiding("https://api.example.com")

    assert "begin it with https://…" == secrets.clean("begin it with https://…")
    assert "GET ***…" == secrets.clean("GET https://api.exam…")


@given(st.text(), st.text(min_size=8))
def test_truncated_secrets_are_found_in_any_text(text, secret):
    assert isinstance(hiding(secret).clean(text + secret[:9] + "…" + secret[-9:]), str)


def test_name_equal_to_a_url_scheme_is_not_hidden():
    secrets = Secrets()
    secrets.add("postgresql://opscheck:hunter2hunter2@127.0.0.1:5432/shop", "${DATABASE_URL}")

    assert "the size of postgres" == secrets.clean("the size of postgres")
    assert "postgres…" == secrets.clean("postgres…")
