"""A snapshot gives back what was observed, and nothing that was not."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest

from opscheck.core.observation import Observation, Problem, ProblemKind, Sample
from opscheck.core.query import Query
from opscheck.core.redaction import Secrets
from opscheck.gathering.snapshot import SnapshotError, read_snapshot, write_snapshot

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Depth(msgspec.Struct, frozen=True):
    """How deep it is."""

    depth: int
    unit: str = ""


@dataclass(frozen=True)
class AskDepth(Query[Depth], name="well.depth"):
    """Asks how deep it is."""

    place: str = ""


ASKED = AskDepth(target="well", place="yard")


def saved(tmp_path, observation, *secrets):
    """The snapshot of one observation, written and read again."""
    known = Secrets()
    for secret in secrets:
        known.add(secret)
    path = tmp_path / "snapshot.json"
    write_snapshot(path, {ASKED: observation}, taken_at=NOON, environment="test", secrets=known)
    return read_snapshot(path, known)


def edited(tmp_path, change):
    """A snapshot in which somebody has changed an observation."""
    saved(tmp_path, Observation(taken_at=NOON, duration_s=0.1, answer=Depth(7)))
    path = tmp_path / "snapshot.json"
    content = json.loads(path.read_text())
    change(content["observations"][0]["observation"])
    path.write_text(json.dumps(content))
    return read_snapshot(path, Secrets())


def test_earlier_answers_come_back_as_they_were(tmp_path):
    samples = (Sample(taken_at=NOON, answer=Depth(5, "m")), Sample(taken_at=NOON, answer=Depth(6, "m")))
    observation = Observation(taken_at=NOON, duration_s=0.1, answer=Depth(7, "m"), earlier=samples)

    assert observation == saved(tmp_path, observation).get(ASKED)


def test_an_earlier_answer_is_written_without_secrets(tmp_path):
    earlier = (Sample(taken_at=NOON, answer=Depth(5, "hunter2")),)

    found = saved(tmp_path, Observation(taken_at=NOON, duration_s=0.1, answer=Depth(7), earlier=earlier), "hunter2")

    assert "***" == found.get(ASKED).earlier[0].answer.unit
    assert "hunter2" not in (tmp_path / "snapshot.json").read_text()


def test_old_snapshot_has_no_earlier_answers(tmp_path):
    def older(observation):
        del observation["earlier"], observation["forgotten"]

    found = edited(tmp_path, older).get(ASKED)

    assert (Depth(7), ()) == (found.answer, found.earlier)


def test_unreadable_earlier_answer_is_a_problem(tmp_path):
    def spoilt(observation):
        observation["earlier"] = [{"taken_at": "2026-03-01T11:00:00Z", "answer": {"depth": "deep"}}]

    found = edited(tmp_path, spoilt).get(ASKED)

    assert ProblemKind.UNSUPPLIED is found.problem.kind
    assert "cannot be read" in found.problem.text


def test_an_answer_comes_back_as_it_was(tmp_path):
    observation = Observation(taken_at=NOON, duration_s=0.1, answer=Depth(7, "m"))

    assert observation == saved(tmp_path, observation).get(ASKED)


def test_a_problem_comes_back_as_it_was(tmp_path):
    problem = Problem(kind=ProblemKind.LATE, text="no answer in 5 s", target_down=True, waited_s=5.0)
    observation = Observation(taken_at=NOON, duration_s=5.0, problem=problem)

    assert observation == saved(tmp_path, observation).get(ASKED)


@pytest.mark.parametrize(
    "secret", ["well", "depth", "well.depth", "2026", "late", "place", "yard", "opscheck.snapshot/v1"]
)
def test_password_equal_to_a_word_of_the_file_hides_nothing(tmp_path, secret):
    late = Problem(kind=ProblemKind.LATE, text="no answer")
    snapshot = saved(tmp_path, Observation(taken_at=NOON, duration_s=0.1, answer=Depth(7)), secret)
    problem = saved(tmp_path, Observation(taken_at=NOON, duration_s=0.1, problem=late), secret).get(ASKED)

    assert Depth(7) == snapshot.get(ASKED).answer
    assert late == problem.problem


def test_a_secret_in_an_answer_is_hidden(tmp_path):
    snapshot = saved(
        tmp_path, Observation(taken_at=NOON, duration_s=0.1, answer=Depth(7, "open-sesame")), "open-sesame"
    )

    assert "open-sesame" not in (tmp_path / "snapshot.json").read_text()
    assert Depth(7, "***") == snapshot.get(ASKED).answer


@pytest.mark.parametrize(
    "change",
    [
        lambda observation: observation.clear(),
        lambda observation: observation.update(answer=None),
        lambda observation: observation.update(answer={"depth": "deep"}),
        lambda observation: observation.update(taken_at="2026-03-01T12:00:00"),
    ],
    ids=["nothing", "no-answer", "another-type", "no-time-zone"],
)
def test_unreadable_observation_is_a_problem(tmp_path, change):
    observation = edited(tmp_path, change).find(ASKED)

    assert ProblemKind.UNSUPPLIED == observation.problem.kind
    assert "take a new one" in observation.problem.advice


def test_query_missing_in_a_snapshot_is_a_problem(tmp_path):
    snapshot = saved(tmp_path, Observation(taken_at=NOON, duration_s=0.1, answer=Depth(7)))

    observation = snapshot.find(AskDepth(target="well", place="garden"))

    assert ProblemKind.UNSUPPLIED == observation.problem.kind
    assert "the snapshot of 2026-03-01 12:00 UTC does not contain" in observation.problem.text


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema": "opscheck.snapshot/v1", "taken_at": "2026-03-01T12:00:00"}']
)
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "snapshot.json"
    path.write_text(content)

    with pytest.raises(SnapshotError, match="not an opscheck snapshot file"):
        read_snapshot(path, Secrets())
