"""A bucket as a store: its objects in pages, and their bytes."""

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from http import HTTPStatus
from typing import Any

import msgspec
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores.listing import StoredBackup
from opscheck.systems.stores.probe.s3.errors import Call, code_of, refusal
from opscheck.systems.stores.probe.s3.transport import Transport

_PIECE = 2**20
_MOST_SENT = 4
_REGION = "name its `region` in the target"
_HEAD = 2000
_ROOTS: Mapping[str, bytes] = {
    "ListObjectsV2": b"ListBucketResult",
    "ListObjectVersions": b"ListVersionsResult",
    "ListMultipartUploads": b"ListMultipartUploadsResult",
    "GetBucketVersioning": b"VersioningConfiguration",
    "GetObjectLockConfiguration": b"ObjectLockConfiguration",
    "GetBucketEncryption": b"ServerSideEncryptionConfiguration",
    "GetPublicAccessBlock": b"PublicAccessBlockConfiguration",
    "GetBucketPolicyStatus": b"PolicyStatus",
    "GetBucketLifecycleConfiguration": b"LifecycleConfiguration",
    "GetBucketReplication": b"ReplicationConfiguration",
}
_AT_HAND = {"", "STANDARD"}
_VERSION_MARKERS = ("KeyMarker", "VersionIdMarker")


class _Waiting(threading.local):
    """The call that this thread waits for."""

    deadline: float = 0.0
    sent: int = 0
    """The number of requests of its call so far."""


class S3Store:
    """One bucket. Its methods are called from several threads at once."""

    def __init__(self, client: Any, transport: Transport, bucket: str) -> None:
        self.address = f"s3://{bucket}"
        self.bucket = bucket
        self._client = client
        self._transport = transport
        self._waiting = _Waiting()
        client.meta.events.register("before-send.s3", self._send)
        client.meta.events.register("before-parse.s3", self._recognise)

    def require_access(self, deadline: float) -> None:
        """Check that the bucket exists and the credentials are valid. Raises ProbeError with `target_down`."""
        try:
            self.call("list_objects_v2", "s3:ListBucket", deadline, MaxKeys=1)
        except ProbeError as error:
            # Credentials that may list only a prefix are denied this, but sufficient.
            if error.problem.kind is ProblemKind.DENIED and not error.problem.target_down:
                return
            error.problem = msgspec.structs.replace(error.problem, target_down=True)
            raise

    def pages(
        self, prefix: str, *, after: str = "", versions: bool = False, deadline: float
    ) -> Iterator[tuple[StoredBackup, ...]]:
        return self._versions(prefix, after, deadline) if versions else self._objects(prefix, after, deadline)

    def size(self, key: str, version: str, *, deadline: float) -> int:
        found = self.call("head_object", "s3:GetObject", deadline, what=key, **_one(key, version))
        return int(found["ContentLength"])

    @contextmanager
    def open(
        self, key: str, version: str, *, start: int = 0, length: int | None = None, deadline: float
    ) -> Iterator[Iterator[bytes]]:
        if length == 0:
            yield iter(())
            return
        wanted = _one(key, version)
        if start or length is not None:
            wanted["Range"] = f"bytes={start}-" + (str(start + length - 1) if length is not None else "")
        # A range past the end of the object is empty, not an error.
        past_it = ("InvalidRange", "416")
        found = self.call("get_object", "s3:GetObject", deadline, *past_it, what=key, **wanted)
        if not found:
            yield iter(())
            return
        if start and "ContentRange" not in found:
            text = f"{self.address} answers a range request with the whole object"
            raise ProbeError(ProblemKind.UNSUPPORTED, text)
        try:
            yield self._read(found["Body"], key, length)
        finally:
            found["Body"].close()

    def call(
        self, name: str, action: str, deadline: float, *absent: str, what: str = "", **words: Any
    ) -> dict[str, Any]:
        """
        Send one request about the bucket. Raises ProbeError.

        absent: error codes of the store for a missing object; the answer is empty then.
        """
        self._waiting.deadline, self._waiting.sent = deadline, 0
        try:
            answer: dict[str, Any] = getattr(self._client, name)(Bucket=self.bucket, **words)
        except Exception as error:  # botocore's errors have many base classes; unknown ones are raised again
            code = code_of(error)  # empty for errors that are not the store's
            if code and code in absent:
                return {}
            call = Call("".join(word.capitalize() for word in name.split("_")), action, self.bucket, what)
            raise refusal(error, call) from error
        return answer

    def close(self) -> None:
        self._transport.close()
        self._client.close()

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self._waiting.sent += 1
        if self._waiting.sent > _MOST_SENT:
            # botocore requests the region of a redirected bucket from the same store, which may redirect again.
            text = f"{self.address} is said to be in another region, again and again"
            raise ProbeError(ProblemKind.UNSUPPORTED, text, _REGION, target_down=True)
        return self._transport.send(request, self._waiting.deadline)

    def _recognise(self, operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
        """
        Raise ProbeError when the root element of a successful response is not that of the request.

        botocore reads an HTML page, or the list of objects that small stores return for every request, as an empty
        answer: the bucket would look empty.
        """
        root = _ROOTS.get(operation_model.name)
        if root is None or response_dict["status_code"] >= HTTPStatus.MULTIPLE_CHOICES:
            return
        # Some stores, such as moto, name the root element after the request.
        roots = rb"<(?:\w+:)?(?:%b|%bResponse)[\s/>]" % (root, operation_model.name.encode())
        if re.search(roots, response_dict["body"][:_HEAD]) is not None:
            return
        text = f"{self.address} answered {operation_model.name} with something else"
        if operation_model.name.startswith("Get"):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"{text}: the store does not implement it")
        raise ProbeError(ProblemKind.UNREADABLE, text, "does the endpoint_url lead to an S3 store?")

    def _objects(self, prefix: str, after: str, deadline: float) -> Iterator[tuple[StoredBackup, ...]]:
        start, action, markers = {"StartAfter": after} if after else {}, "s3:ListBucket", ("ContinuationToken",)
        for answer in self.listed("list_objects_v2", action, deadline, markers, start, prefix=prefix):
            yield tuple(_stored(one) for one in answer.get("Contents", ()))

    def _versions(self, prefix: str, after: str, deadline: float) -> Iterator[tuple[StoredBackup, ...]]:
        start, action, markers = {"KeyMarker": after} if after else {}, "s3:ListBucketVersions", _VERSION_MARKERS
        for answer in self.listed("list_object_versions", action, deadline, markers, start, prefix=prefix):
            found = [(one, False) for one in answer.get("Versions", ())]
            found += [(one, True) for one in answer.get("DeleteMarkers", ())]
            found.sort(key=lambda pair: _newest_first(pair[0]))
            yield tuple(_stored(one, deleted=deleted) for one, deleted in found)

    def listed(  # noqa: PLR0913 - the parts of a listing
        self,
        name: str,
        action: str,
        deadline: float,
        markers: Sequence[str],
        place: Mapping[str, str],
        *absent: str,
        prefix: str,
    ) -> Iterator[dict[str, Any]]:
        """
        Each page of a listing, from `place` on. Raises ProbeError.

        markers: the parameters of the next page, which an answer contains. absent: as in `call`.
        """
        seen: set[tuple[tuple[str, Any], ...]] = set()
        began = time.monotonic()
        while True:
            try:
                answer = self.call(name, action, deadline, *absent, what=prefix, Prefix=prefix, **place)
            except ProbeError as error:
                if error.problem.kind is ProblemKind.LATE and seen:
                    after = f"{len(seen)} pages and {time.monotonic() - began:.1f} s"
                    text = f"{self.address} was not listed to its end after {after}"
                    advice = "raise the timeout, or begin names with their date"
                    raise ProbeError(ProblemKind.LATE, text, advice) from error
                raise
            yield answer
            more = bool(answer.get(f"Next{markers[0]}"))
            place = {marker: answer.get(f"Next{marker}", "") for marker in markers} if more else {}
            # Some stores omit IsTruncated, but return a token for the next page.
            if not answer.get("IsTruncated", more):
                return
            mark = tuple(sorted(place.items()))
            if not more or mark in seen:
                raise ProbeError(ProblemKind.UNREADABLE, f"{self.address} says that there is more, and gives the same")
            seen.add(mark)

    def _read(self, body: Any, key: str, length: int | None) -> Iterator[bytes]:
        left = length
        try:
            while left is None or left > 0:
                piece = body.read(_PIECE if left is None else min(_PIECE, left))
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece
        except ProbeError:
            raise
        except Exception as error:  # as above
            raise refusal(error, Call("GetObject", "s3:GetObject", self.bucket, key)) from error


def _one(key: str, version: str) -> dict[str, str]:
    return {"Key": key, "VersionId": version} if version else {"Key": key}


def _stored(found: Mapping[str, Any], *, deleted: bool = False) -> StoredBackup:
    storage = str(found.get("StorageClass", ""))
    return StoredBackup(
        key=found["Key"],
        size=0 if deleted else found["Size"],
        modified=found["LastModified"].astimezone(UTC),  # botocore puts times into this machine's zone
        storage_class="" if storage in _AT_HAND else storage,
        version=str(found.get("VersionId", "")),
        deleted=deleted,
    )


def _newest_first(found: Mapping[str, Any]) -> tuple[str, bool, float]:
    """The place of a version among others: by key, and newest first. Times have no fractions of a second."""
    return found["Key"], not found.get("IsLatest", False), -found["LastModified"].timestamp()
