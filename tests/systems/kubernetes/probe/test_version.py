"""The API server's version: what it said when the session was opened is not asked again."""

import msgspec
import pytest

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.demo.kubernetes import Response, statuses
from opscheck.demo.kubernetes.access import Attempt
from opscheck.systems.kubernetes.api_server import ReadVersion, ServerVersion

VERSION = ReadVersion("cluster")


def test_the_version_is_what_the_server_said_when_the_session_was_opened(api, session):
    api.forget_requests()

    assert ServerVersion(git_version="v1.34.1") == session.ask(VERSION, 5)
    assert [] == list(api.requests)


def test_the_answer_survives_a_snapshot(session):
    answer = session.ask(VERSION, 5)

    assert answer == msgspec.convert(msgspec.json.decode(msgspec.json.encode(answer)), ReadVersion.answer)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (statuses.forbidden("me", Attempt("get", "version")), ProblemKind.DENIED, "GET /version is forbidden (403)"),
        (Response(500, b"oops", "text/plain"), ProblemKind.UNREADABLE, "answered GET /version with 500: oops"),
    ],
)
def test_denied_version_is_unknown_and_other_queries_are_answered(api, opened, answer, kind, text):
    api.answer("/version", answer)

    with pytest.raises(ProbeError) as caught:
        opened().ask(VERSION, 5)

    assert kind == caught.value.problem.kind
    assert text in caught.value.problem.text


def test_a_version_that_is_no_text_is_no_kubernetes(api, opened):
    api.answer("/version", Response(body=b'{"gitVersion": 34}'))

    with pytest.raises(ProbeError, match="is not a Kubernetes API"):
        opened()


def test_nothing_has_to_be_granted_for_it():
    assert () == VERSION.permissions()
    assert "read the version of the API server" == VERSION.text()
