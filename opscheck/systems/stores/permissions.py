"""The least IAM policy for the queries of a bucket."""

import json
from collections.abc import Iterable
from typing import Any

from opscheck.core.query import Permission
from opscheck.systems.stores.target import S3Action, S3Target

_PREFIXED = {"s3:ListBucket", "s3:ListBucketVersions"}
"""Actions on the bucket whose requests name a prefix."""

_KMS = "# where objects are encrypted with a key of KMS, let its key policy allow kms:Decrypt too\n"


def render(target: S3Target, permissions: Iterable[Permission]) -> str:
    """
    A policy document for the user or role of opscheck; it allows reading objects under the needed prefixes only.

    A line that begins with # is a note that JSON cannot contain.
    """
    actions = [one for one in permissions if isinstance(one, S3Action)]
    reading = [one for one in actions if one.on_objects]
    plain = sorted({one.action for one in actions if not one.on_objects and not _is_prefixed(one)})
    # An action on the whole bucket is not restricted to a prefix as well.
    narrow = [one for one in actions if not one.on_objects and _is_prefixed(one) and one.action not in plain]
    statements = [
        *([_statement("Bucket", plain, [_arn(target)])] if plain else []),
        *_listings(target, narrow),
        *_objects(target, reading),
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"
    return _KMS + document if reading else document


def _is_prefixed(one: S3Action) -> bool:
    return one.action in _PREFIXED and bool(one.prefix)


def _listings(target: S3Target, actions: Iterable[S3Action]) -> list[dict[str, Any]]:
    """A statement for each action: actions may have different prefixes."""
    return [
        _statement(f"List{place}", [action], [_arn(target)])
        | {"Condition": {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}}}
        for place, (action, prefixes) in enumerate(_prefixes(actions).items(), start=1)
    ]


def _objects(target: S3Target, actions: Iterable[S3Action]) -> list[dict[str, Any]]:
    arn = f"{target.bucket}/object" if target.bucket.startswith("arn:") else _arn(target)
    by_prefixes: dict[tuple[str, ...], list[str]] = {}
    for action, prefixes in _prefixes(actions).items():
        by_prefixes.setdefault(prefixes, []).append(action)
    return [
        _statement(f"Read{place}", names, [f"{arn}/{prefix}*" for prefix in prefixes])
        for place, (prefixes, names) in enumerate(by_prefixes.items(), start=1)
    ]


def _prefixes(actions: Iterable[S3Action]) -> dict[str, tuple[str, ...]]:
    """The prefixes of each action, without those that another one covers."""
    widest: dict[str, tuple[str, ...]] = {}
    for action, prefix in sorted((one.action, one.prefix) for one in actions):
        wider = widest.get(action, ())
        widest[action] = wider if prefix.startswith(wider) else (*wider, prefix)
    return widest


def _statement(name: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": f"Opscheck{name}", "Effect": "Allow", "Action": actions, "Resource": resources}


def _arn(target: S3Target) -> str:
    if target.bucket.startswith("arn:"):  # an access point
        return target.bucket
    partitions = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    region = target.region or ""
    partition = next((name for begins, name in partitions.items() if region.startswith(begins)), "aws")
    return f"arn:{partition}:s3:::{target.bucket}"
