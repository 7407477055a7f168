"""The targets of a policy."""

import pytest

ENTRY = "expectations:\n  - {id: cache, check: redis.ping, target: cache, severity: P0}\n"
CACHE = 'cache: {kind: redis, url: "redis://cache.example.com"}'


def with_targets(*targets: str) -> str:
    lines = "".join(f"  {target}\n" for target in targets)
    return f"version: 1\nenvironment: production\ntargets:\n{lines}{ENTRY}"


@pytest.mark.parametrize(
    "target",
    [
        "other: {kind: kubernetes}",
        "other: {kind: kubernetes, namespace: shop, context: prod, kubeconfig: /etc/kubeconfig}",
        "other: {kind: http, base_url: 'https://api.example.com', headers: {Accept: text/plain}, ca_file: ca.pem}",
        "other: {kind: postgres, dsn: 'host=db'}",
        "other: {kind: host, uri: 'local://', concurrency: 2}",
        "other: {kind: s3, bucket: backups, region: eu-central-1, timeout: 10s}",
    ],
)
def test_each_kind_of_target_has_its_own_fields(load, target):
    assert load(with_targets(CACHE, target)).targets["other"].name == "other"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (
            "other: {kind: kuberntes}",
            'targets.other.kind: unknown kind of target, got "kuberntes"; did you mean kubernetes?',
        ),
        ("other: {kind: [http]}", "targets.other.kind: unknown kind of target, got a list; there are folder, host,"),
        ("other: {dsn: 'host=db'}", "targets.other: the key `kind` is missing; there are folder, host, http,"),
        ("other: {kind: http}", "targets.other: the key `base_url` is missing"),
        ("other: {kind: http, name: x, base_url: 'http://x'}", "targets.other.name: unknown key; "),
        ("other: {kind: s3, bucket: b, region: }", "targets.other.region: expected a value, got nothing"),
        ("other: redis", 'targets.other: expected a mapping, got "redis"'),
        ("'other one': {kind: kubernetes}", "targets.other one: expected letters, digits, `.`, `_` and `-`"),
        (
            "other: {kind: postgres, dsn: 'host=db', concurrency: 5}",
            "targets.other.concurrency: expected 4 or less, got 5",
        ),
    ],
)
def test_invalid_target_is_reported_with_its_place(refusal, target, told):
    (line,) = refusal(with_targets(CACHE, target)).splitlines()

    assert line.partition(": ")[0].startswith("policy.yaml:5:")
    assert line.partition(": ")[2].startswith(told)
