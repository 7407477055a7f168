"""Unfinished uploads of a bucket."""

import time
from datetime import UTC
from typing import Any

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores.probe.s3.store import OWN_SHARE, S3Store
from opscheck.systems.stores.queries.uploads import ListUploads, Upload, Uploads

_MOST = 100


def read(store: S3Store, query: ListUploads, timeout_s: float) -> Uploads:
    """The answer to `query`. Raises ProbeError."""
    deadline = time.monotonic() + timeout_s * OWN_SHARE
    found: list[Upload] = []
    count, place = 0, dict[str, str]()
    while True:
        answer = _page(store, query, place, deadline)
        for one in answer.get("Uploads", ()):
            count += 1
            found.append(Upload(key=one["Key"], upload=one["UploadId"], started=one["Initiated"].astimezone(UTC)))
        found = sorted(found, key=lambda one: one.started)[:_MOST]
        # Some stores leave it out, and give a place to go on from all the same.
        if not answer.get("IsTruncated", bool(answer.get("NextKeyMarker"))):
            return Uploads(oldest=tuple(found), count=count)
        following = {
            "KeyMarker": answer.get("NextKeyMarker", ""),
            "UploadIdMarker": answer.get("NextUploadIdMarker", ""),
        }
        if following == place or not following["KeyMarker"]:
            text = f"{store.address} says that there are more unfinished uploads, and gives the same"
            raise ProbeError(ProblemKind.UNREADABLE, text)
        place = following


def _page(store: S3Store, query: ListUploads, place: dict[str, str], deadline: float) -> dict[str, Any]:
    prefix = {"Prefix": query.prefix} if query.prefix else {}
    # NoSuchUpload is how some stores say that there is none.
    found = store.asked("list_multipart_uploads", query.action, deadline, "NoSuchUpload", **prefix, **place)
    return found or {}
