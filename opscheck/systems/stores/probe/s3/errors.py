"""Errors of S3 stores, and of botocore before a request is sent, as problems with advice."""

from collections.abc import Mapping
from dataclasses import dataclass

from botocore import exceptions
from botocore.parsers import ResponseParserError

from opscheck.core.observation import ProbeError, ProblemKind

_ANY_CREDENTIALS = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`"
_SIGN_IN = "sign in again, with `aws sso login` where that is how you do it"


@dataclass(frozen=True)
class _Meaning:
    kind: ProblemKind
    text: str
    advice: str = ""


# By the code of the error. {bucket}, {permission}, {what} and {call} are filled in.
_CODES: Mapping[str, _Meaning] = {
    "NoSuchBucket": _Meaning(
        ProblemKind.ABSENT, "there is no bucket {bucket}", "check its name, the endpoint_url and the account"
    ),
    "InvalidAccessKeyId": _Meaning(
        ProblemKind.DENIED,
        "the store does not know the access key",
        "is it the key of another account or another store? " + _ANY_CREDENTIALS,
    ),
    "SignatureDoesNotMatch": _Meaning(
        ProblemKind.DENIED,
        "the secret access key is not the one that belongs to the access key",
        "check that both were copied whole; a proxy that changes requests can cause it too",
    ),
    "ExpiredToken": _Meaning(ProblemKind.DENIED, "the session token has expired", _SIGN_IN),
    "InvalidToken": _Meaning(ProblemKind.DENIED, "the session token is not valid", _SIGN_IN),
    "RequestTimeTooSkewed": _Meaning(
        ProblemKind.DENIED, "the clock of this machine and that of the store differ too much", "set the clock (NTP)"
    ),
    "PermanentRedirect": _Meaning(
        ProblemKind.UNSUPPORTED, "the bucket {bucket} is in another region", "name its `region` in the target"
    ),
    "AccessDenied": _Meaning(
        ProblemKind.DENIED,
        "{permission} is not allowed",
        "allow {permission}; `opscheck permissions` prints the policy",
    ),
    "AllAccessDisabled": _Meaning(ProblemKind.DENIED, "all access to the bucket {bucket} is disabled"),
    "NoSuchKey": _Meaning(ProblemKind.ABSENT, "there is no object {what}"),
    "NoSuchVersion": _Meaning(ProblemKind.ABSENT, "there is no such version of {what}"),
    "InvalidObjectState": _Meaning(
        ProblemKind.UNSUPPORTED, "{what} is archived and cannot be read", "restore it first: `aws s3api restore-object`"
    ),
    "SlowDown": _Meaning(
        ProblemKind.UNREADABLE,
        "the store limits the request rate",
        "lower the target's concurrency, and run it again",
    ),
    "NotImplemented": _Meaning(
        ProblemKind.UNSUPPORTED, "the store does not implement {call}", "leave out the field that needs it"
    ),
}
# The others concern the whole bucket.
_OF_ONE_REQUEST = {"AccessDenied", "NoSuchKey", "NoSuchVersion", "InvalidObjectState", "SlowDown", "NotImplemented"}
_OTHER_CODES = {
    "AccessDenied": ("401", "403", "Forbidden", "Unauthorized"),
    "NoSuchKey": ("404",),
    "PermanentRedirect": ("301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    "NotImplemented": ("405", "501", "MethodNotAllowed"),
    "SlowDown": ("503", "ServiceUnavailable", "RequestLimitExceeded"),
    "ExpiredToken": ("TokenRefreshRequired", "RequestExpired"),
    "InvalidAccessKeyId": ("UnrecognizedClientException", "AuthFailure"),
}
_SAME = {other: code for code, others in _OTHER_CODES.items() for other in others}


@dataclass(frozen=True)
class Call:
    """One request to a bucket."""

    name: str
    """Its name in S3, such as ListObjectsV2."""
    action: str
    """The IAM action that must be allowed."""
    bucket: str
    what: str = ""
    """The key or prefix."""


def refusal(error: Exception, call: Call) -> ProbeError:
    """The problem behind `error`. Raises `error` again when it is unknown."""
    if isinstance(error, ProbeError):
        return error
    if isinstance(error, exceptions.ClientError):
        return _refused(error, call)
    for kinds, meaning in _BEFORE:
        if isinstance(error, kinds):
            text = meaning.text.format(reason=_reason(error))
            return ProbeError(meaning.kind, text, meaning.advice, target_down=True)
    if isinstance(error, ResponseParserError | exceptions.ResponseStreamingError):
        text = f"the store answered {call.name} with something that is not S3's"
        return ProbeError(ProblemKind.UNREADABLE, text, "does the endpoint_url lead to a web page?")
    raise error


def code_of(error: Exception) -> str:
    """The S3 code of an error; empty for other errors."""
    if not isinstance(error, exceptions.ClientError):
        return ""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return _SAME.get(code, code)


def _refused(error: exceptions.ClientError, call: Call) -> ProbeError:
    code = code_of(error)
    meaning = _CODES.get(code)
    if meaning is None:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        said = f"{code} ({status})" if code and code != str(status) else str(status or "an error")
        return ProbeError(ProblemKind.UNREADABLE, f"the store answered {call.name} with {said}")
    permission = f"{call.action} on {call.bucket}/{call.what}" if call.what else f"{call.action} on {call.bucket}"
    words = {"bucket": call.bucket, "permission": permission, "what": call.what, "call": call.name}
    return ProbeError(
        meaning.kind,
        meaning.text.format(**words),
        meaning.advice.format(**words),
        target_down=code not in _OF_ONE_REQUEST,
    )


def _reason(error: Exception) -> str:
    """The first line: the others may be the output of a credential helper."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


_CHECK_CONFIGURATION = "check the target's `profile`, AWS_PROFILE, ~/.aws/config and ~/.aws/credentials"
# Errors before any request is sent.
_BEFORE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], _Meaning], ...] = (
    (exceptions.NoCredentialsError, _Meaning(ProblemKind.DENIED, "no AWS credentials were found", _ANY_CREDENTIALS)),
    (exceptions.PartialCredentialsError, _Meaning(ProblemKind.DENIED, "{reason}", _ANY_CREDENTIALS)),
    (
        (exceptions.SSOError, exceptions.TokenRetrievalError, exceptions.UnauthorizedSSOTokenError),
        _Meaning(ProblemKind.DENIED, "the session of AWS's single sign-on is over", _SIGN_IN),
    ),
    (
        (exceptions.CredentialRetrievalError, exceptions.MetadataRetrievalError),
        _Meaning(
            ProblemKind.DENIED,
            "the program or service that gives the AWS credentials failed",
            "run `aws sts get-caller-identity` to see why",
        ),
    ),
    (
        (exceptions.ProfileNotFound, exceptions.ConfigParseError, exceptions.InvalidConfigError),
        _Meaning(ProblemKind.UNSUPPORTED, "{reason}", _CHECK_CONFIGURATION),
    ),
    (
        (exceptions.ParamValidationError, exceptions.EndpointResolutionError, exceptions.InvalidRegionError),
        _Meaning(ProblemKind.UNSUPPORTED, "{reason}", "check the target's bucket, region and endpoint_url"),
    ),
    (
        exceptions.NoRegionError,
        _Meaning(ProblemKind.UNSUPPORTED, "no region is named", "name the target's `region`, or set AWS_REGION"),
    ),
)
