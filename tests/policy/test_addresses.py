"""Addresses that cannot work are policy errors, which propose what was meant and never print the value."""

from collections import defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.policy.draft import read_policy
from opscheck.policy.errors import PolicyError

SECRET = "hunter2secret"

ROWS = [
    # (kind, field, value, part of the error)
    ("http", "base_url", "file:///etc/passwd", "its scheme is file; did you mean https://…?"),
    ("http", "base_url", "api.example.com", "the scheme is missing; did you mean https://…?"),
    ("http", "base_url", "https://", "it names no host"),
    ("http", "base_url", "https://api.example.com:port", "it cannot be read; percent-encode"),
    ("http", "base_url", "https://api.example.com/?a=1", "without `?` and `#`"),
    ("http", "base_url", f"redis://:{SECRET}@cache:6379", "did you mean `kind: redis`?"),
    ("prometheus", "base_url", "prometheus:9090", "the scheme is missing; did you mean https://…?"),
    ("postgres", "dsn", f"redis://:{SECRET}@cache:6379", "another system; did you mean `kind: redis`?"),
    ("postgres", "dsn", f"postgresql+psycopg://app:{SECRET}@db/shop", "did you mean postgresql://…?"),
    ("postgres", "dsn", "jdbc:postgresql://db/shop", "did you mean postgresql://…?"),
    ("postgres", "dsn", "db.example.com:5432/shop", "the scheme is missing; did you mean postgresql://…?"),
    ("pgbouncer", "dsn", "https://db.example.com", "did you mean `kind: http`?"),
    ("redis", "url", f"postgres://app:{SECRET}@db/shop", "another system; did you mean `kind: postgres`?"),
    ("redis", "url", "cache:6379", "the scheme is missing; did you mean redis://…?"),
    ("redis", "url", f"{SECRET}://cache", "its scheme is unknown; did you mean redis://…?"),
    ("redis", "ca_file", "https://ca.example.com/ca.pem", "the path of a file, not a URL"),
    ("host", "uri", "http://web-1", "did you mean `kind: http`?"),
    ("kubernetes", "server", "redis://prod", "did you mean `kind: redis`?"),
    ("kubernetes", "kubeconfig", "file:///etc/kubernetes/admin.conf", "the path of a file, not a URL"),
    ("s3", "bucket", "s3://backups", "the name of a bucket alone, without s3://"),
    ("s3", "endpoint_url", "minio:9000", "the scheme is missing; did you mean https://…?"),
]
FITTING = [
    ("http", "base_url", "HTTPS://user:p%40ss@[::1]:8443/v1"),
    ("postgres", "dsn", "host=db dbname=shop"),
    ("postgres", "dsn", "postgresql://a:1,b:2/shop"),
    ("postgres", "dsn", "postgresql:///shop?host=/run/postgresql"),
    ("pgbouncer", "dsn", "postgres://ops@bouncer:6432/pgbouncer"),
    ("redis", "url", "rediss://user:pw@one:6379,two:6379"),
    ("redis", "url", "unix:///run/redis.sock"),
    ("redis", "url", "valkey://cache"),
    ("host", "uri", "local://"),
    ("host", "uri", "ops@web-1"),
    ("host", "uri", "kubectl://pod?namespace=shop"),
    ("kubernetes", "server", "https://prod.example.com:6443"),
    ("s3", "endpoint_url", "http://minio:9000"),
]
OTHERS = defaultdict(dict, {"s3": {"bucket": "backups"}, "redis": {"url": "redis://cache"}})


def errors(tmp_path, text, environ=None, **options):
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(PolicyError) as error:
        read(tmp_path, text, environ, **options)
    return str(error.value)


def read(tmp_path, text, environ=None, **options):
    (tmp_path / "policy.yaml").write_text(text)
    draft = read_policy(tmp_path / "policy.yaml", environ=environ or {}, layer_allowed=True, **options)
    return draft.finish(today=datetime.now(UTC).date())


def target(kind, field, value):
    fields = {"kind": kind, **OTHERS[kind], field: f'"{value}"'}
    return f"version: 1\ntargets:\n  it: {{{', '.join(f'{key}: {item}' for key, item in fields.items())}}}\n"


@pytest.mark.parametrize(("kind", "field", "value", "text"), ROWS)
def test_impossible_address_is_refused_with_a_proposal(tmp_path, kind, field, value, text):
    printed = errors(tmp_path, target(kind, field, value))

    assert (f"targets.it.{field}: " in printed, text in printed) == (True, True), printed
    assert SECRET not in printed


@pytest.mark.parametrize(("kind", "field", "value", "text"), ROWS)
def test_impossible_address_in_a_variable_is_refused_without_its_value(tmp_path, kind, field, value, text):
    printed = errors(tmp_path, target(kind, field, "${ADDRESS}"), {"ADDRESS": value})

    assert (text in printed, value in printed, SECRET in printed) == (True, False, False), printed


@pytest.mark.parametrize(("kind", "field", "value"), FITTING)
def test_usable_address_is_accepted(tmp_path, kind, field, value):
    assert "it" in read(tmp_path, target(kind, field, value)).targets


@pytest.mark.parametrize(("kind", "field", "value", "text"), ROWS)
def test_unset_variable_is_no_wrong_address(tmp_path, kind, field, value, text):
    assert "it" in read(tmp_path, target(kind, field, "${ADDRESS}"), keep_unset=True).targets


@pytest.mark.parametrize(
    ("kind", "field", "value", "name"),
    [
        ("http", "base_url", "$API_URL", "API_URL"),
        ("redis", "url", "redis://:$REDIS_PASSWORD@cache:6379", "REDIS_PASSWORD"),
        ("postgres", "dsn", "host=db password=$PGPASSWORD", "PGPASSWORD"),
        ("s3", "bucket", "$BUCKET", "BUCKET"),
    ],
)
def test_variable_without_braces_is_refused(tmp_path, kind, field, value, name):
    assert f"a variable without braces is not replaced; did you mean ${{{name}}}?" in errors(
        tmp_path, target(kind, field, value)
    )


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("web.acme.org", "web.acme.org:443"),
        ("postgresql://db.acme.org/shop", "db.acme.org:5432"),
        ("imaps://[2001:db8::2]", "[2001:db8::2]:993"),
    ],
)
def test_endpoint_without_a_port_is_refused_with_a_proposal(tmp_path, value, meant):
    entry = f'{{id: a, check: tls.certificate, endpoint: "{value}", severity: P1, remaining: 7d}}'
    text = "version: 1\nenvironment: here\nexpectations: [ENTRY]\n"

    assert f"did you mean {meant}?" in errors(tmp_path, text.replace("ENTRY", entry))
    hidden = errors(tmp_path, text.replace("ENTRY", entry.replace(value, "${IT}")), {"IT": value})
    assert ("expected host:port" in hidden, meant in hidden) == (True, False)


@pytest.mark.parametrize(
    "entry",
    [
        '{id: a, check: tls.certificate, endpoint: "$API_HOST:443", severity: P1, remaining: 7d}',
        '{id: a, check: tls.certificate, endpoint: "$ENDPOINT", severity: P1, remaining: 7d}',
    ],
)
def test_endpoint_variable_without_braces_is_refused(tmp_path, entry):
    printed = errors(tmp_path, f"version: 1\nenvironment: here\nexpectations: [{entry}]\n")

    assert "is not replaced; did you mean ${" in printed


def test_url_for_a_host_name_is_refused(tmp_path):
    printed = errors(
        tmp_path,
        "version: 1\nenvironment: here\ntargets: {api: {kind: http, base_url: 'https://a'}}\n"
        "expectations: [{id: a, check: http.response, target: api, severity: P1, final_host: 'https://b:443/'}]\n",
    )

    assert "final_host: expected the name of a host alone" in printed


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\n\r\x00${}'\"\\"), min_size=12))
def test_no_error_contains_a_secret_address(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("policy")
    assert text not in errors(folder, target("redis", "url", "${ADDRESS}"), {"ADDRESS": text})
