"""The refusals of an API server, worded and shaped as the real one words and shapes them."""

import json
from typing import Any

from opscheck.demo.kubernetes.access import Attempt
from opscheck.demo.serving import Response

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter, or use the continue token in this response "
    "to retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the first chunk "
    "was returned and now may show up in the list."
)
_TOO_OLD_FOR_GOOD = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You must start a new list without the continue parameter."
)


def status(code: int, reason: str, message: str, **more: Any) -> Response:
    """A `Status` object; `more` is its details, metadata and headers."""
    headers = more.pop("headers", {})
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": more.pop("metadata", {}),
        "status": "Failure",
        "message": message,
        "reason": reason,
        **more,
        "code": code,
    }
    return Response(code, json.dumps(body).encode(), headers=headers)


def plain(code: int, message: str, **headers: str) -> Response:
    """A line of text, as the server's outer filters send it before objects are read."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(code, f"{message}\n".encode(), "text/plain; charset=utf-8", named)


def bad_request(message: str) -> Response:
    """400."""
    return status(400, "BadRequest", message)


def unauthorized() -> Response:
    """401: no token, or an unknown one."""
    return status(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, attempt: Attempt) -> Response:
    """403: RBAC allows no such thing."""
    plural = attempt.resource.partition("/")[0]
    qualified = f"{plural}.{attempt.group}" if attempt.group else plural
    subject = f'{qualified} "{attempt.name}"' if attempt.name else qualified
    scope = f'in the namespace "{attempt.namespace}"' if attempt.namespace else "at the cluster scope"
    message = (
        f'{subject} is forbidden: User "{user}" cannot {attempt.verb} resource "{attempt.resource}" '
        f'in API group "{attempt.group}" {scope}'
    )
    return status(403, "Forbidden", message, details=_details(plural, attempt.group, attempt.name))


def forbidden_path(user: str, verb: str, path: str) -> Response:
    """403: RBAC allows no such path, which is none of an object."""
    return status(403, "Forbidden", f'forbidden: User "{user}" cannot {verb} path "{path}"', details={})


def not_found(plural: str, group: str, name: str) -> Response:
    """404: the kind exists, the object does not."""
    qualified = f"{plural}.{group}" if group else plural
    return status(404, "NotFound", f'{qualified} "{name}" not found', details=_details(plural, group, name))


def unknown_resource() -> Response:
    """404: the group exists, this kind does not in this version of it."""
    return status(404, "NotFound", "the server could not find the requested resource", details={})


def unknown_path() -> Response:
    """404: nothing is served under this path; also a group whose CustomResourceDefinition is absent."""
    return plain(404, "404 page not found")


def method_not_allowed() -> Response:
    """405."""
    message = "the server does not allow this method on the requested resource"
    return status(405, "MethodNotAllowed", message, details={})


def expired(fresh: str | None) -> Response:
    """410: the continue token is too old. `fresh` continues the list, which is then not consistent."""
    if fresh is None:
        return status(410, "Expired", _TOO_OLD_FOR_GOOD)
    return status(410, "Expired", _TOO_OLD, metadata={"continue": fresh})


def invalid(kind: str, name: str, field: str, problem: str) -> Response:
    """422: the value of a field, or (with the field `[]`) several together, are not allowed."""
    reason = "FieldValueInvalid" if problem.startswith("Invalid value") else "FieldValueForbidden"
    causes = [{"reason": reason, "message": problem, "field": field}]
    message = f'{kind} "{name}" is invalid: {field}: {problem}'
    return status(422, "Invalid", message, details={"name": name, "kind": kind, "causes": causes})


def too_many_requests(retry_after: int = 1) -> Response:
    """429 of API Priority and Fairness. It is text: the filter answers before objects are decoded."""
    return plain(429, "Too many requests, please try again later.", Retry_After=str(retry_after))


def too_many_requests_status(retry_after: int = 1) -> Response:
    """429 of the storage layer, while a watch cache is filled: a `Status` with `retryAfterSeconds`."""
    return status(
        429,
        "TooManyRequests",
        "storage is (re)initializing",
        details={"retryAfterSeconds": retry_after},
        headers={"Retry-After": str(retry_after)},
    )


def unavailable() -> Response:
    """503 of the aggregator: the service behind an APIService, such as metrics-server, is down."""
    return plain(503, "service unavailable")


def unavailable_status() -> Response:
    """503 with a `Status`."""
    message = "the server is currently unable to handle the request"
    return status(503, "ServiceUnavailable", message, details={})


def _details(plural: str, group: str, name: str | None) -> dict[str, str]:
    details = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in details.items() if value}
