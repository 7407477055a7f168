"""The first contact with a bucket."""

from contextlib import suppress
from datetime import datetime
from typing import Any

import boto3
import botocore.session
from botocore import exceptions
from botocore.config import Config
from botocore.utils import parse_timestamp

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores.bucket import BucketQuery
from opscheck.systems.stores.probe.base import READERS, StoreSession, deadline_in
from opscheck.systems.stores.probe.s3.errors import Call, refusal
from opscheck.systems.stores.probe.s3.store import S3Store
from opscheck.systems.stores.probe.s3.transport import Transport
from opscheck.systems.stores.target import S3Target

_READERS = {
    **READERS,
    "stores.uploads": "opscheck.systems.stores.probe.s3.bucket:read_uploads",
    **{part.name: "opscheck.systems.stores.probe.s3.bucket:read_part" for part in BucketQuery.__subclasses__()},
}


def open_session(target: S3Target, timeout_s: float) -> StoreSession:
    """Request one object. Raises ProbeError with `target_down`."""
    deadline, store = deadline_in(timeout_s), _store(target)
    store.require_access(deadline)
    return StoreSession(store, _READERS)


def _store(target: S3Target) -> S3Store:
    try:
        found = botocore.session.Session(profile=target.profile)
        found.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
        session = boto3.session.Session(botocore_session=found, region_name=target.region)
        client = session.client("s3", endpoint_url=target.endpoint_url, config=_config(target))
        # Without credentials requests would be anonymous.
        if session.get_credentials() is None:
            raise exceptions.NoCredentialsError
    except ValueError as error:  # without its text, which is the whole endpoint
        text = "the target's endpoint_url is not the address of a server"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, "such as https://s3.example.com", target_down=True) from error
    except exceptions.BotoCoreError as error:
        raise refusal(error, Call("GetCallerIdentity", "", target.bucket)) from error
    authorities = target.ca_file or found.get_config_variable("ca_bundle")
    return S3Store(client, Transport(authorities), target.bucket)


def _moment(value: Any) -> datetime:
    """The time, parsed as botocore does, but ten times as fast in its usual form: a bucket may have 100,000 objects."""
    if isinstance(value, str) and value.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    moment: datetime = parse_timestamp(value)
    return moment


def _config(target: S3Target) -> Config:
    styles = {None: "auto", True: "path", False: "virtual"}
    return Config(
        # Not AWS_MAX_ATTEMPTS: a store that answers only the second request must be reported.
        retries={"total_max_attempts": 1, "mode": "standard"},
        s3={"addressing_style": styles[target.path_style]},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="opscheck",
    )
