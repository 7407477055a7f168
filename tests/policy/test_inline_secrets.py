"""Secrets that stand in a policy file itself."""

import pytest

POLICY = """
    version: 1
    environment: production
    targets:
      api:
        kind: http
        base_url: "https://ops:open-sesame@api.example.com"
        headers:
          Authorization: "Bearer sesame-of-the-api"
          X-Api-Key: key-of-the-api
          Cookie: "session=cookie-of-the-api; theme=dark"
          Accept: application/json
          X-Mixed-Token: "prefix ${TOKEN}"
      database: {kind: postgres, dsn: "host=db.example.com user=ops password='open the door'"}
      cache: {kind: redis, url: "redis://:sesame-of-the-cache@cache.example.com/0"}
      shell: {kind: host, uri: "ssh://root:sesame-of-the-host@db.example.com"}
    expectations:
      - {id: api-health, check: http.response, target: api, severity: P0}
"""


@pytest.mark.parametrize(
    "secret",
    [
        "open-sesame",
        "sesame-of-the-api",
        "key-of-the-api",
        "cookie-of-the-api",
        "open the door",
        "sesame-of-the-cache",
        "sesame-of-the-host",
    ],
)
def test_a_credential_in_the_file_is_secret(load, secret):
    assert load(POLICY, {"TOKEN": "ticket"}).secrets.clean(f"said {secret}!") == "said ***!"


@pytest.mark.parametrize(
    "text", ["application/json", "Bearer", "https://api.example.com", "host=db.example.com", "dark"]
)
def test_text_without_a_credential_is_shown(load, text):
    assert text == load(POLICY, {"TOKEN": "ticket"}).secrets.clean(text)


def test_a_header_from_a_variable_shows_its_name(load):
    assert load(POLICY, {"TOKEN": "ticket-1234"}).secrets.clean("prefix ticket-1234") == "prefix ${TOKEN}"
