"""The samples that a run reads from its state file and writes to it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from opscheck.core.observation import NO_STATE_FILE, Observation, Sample
from opscheck.core.query import Query
from opscheck.gathering.state_store import Memory, Note, StateError


class Remembering:
    """
    The earlier samples of observations; without a state file none, with a reason.

    An error of the file does not end a run: observations without their samples have it, and `finish` returns it.
    """

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._notes: list[Note] = []
        self._troubles: list[str] = []

    def recalled(self, observations: Mapping[Query[Any], Observation]) -> dict[Query[Any], Observation]:
        """These observations, remembered ones with their earlier samples. Those are recorded to be stored."""
        remembered = {query: one for query, one in observations.items() if query.remembered and one.problem is None}
        if not remembered:
            return dict(observations)
        return {**observations, **_with_those_of_now(self._recalled(remembered))}

    def _recalled(self, remembered: Mapping[Query[Any], Observation]) -> dict[Query[Any], Observation]:
        if self._memory is None:
            return _forgotten(remembered, NO_STATE_FILE)
        self._notes += [self._memory.note(query, one) for query, one in remembered.items() if query.noted]
        try:
            return self._memory.recall(remembered)
        except StateError as error:
            self._troubles.append(str(error))
            return _forgotten(remembered, str(error))

    def finish(self) -> list[str]:
        """Write the samples, once, at the end of the run; returns the problems of the file."""
        if self._memory is not None and self._notes:
            try:
                self._memory.keep(self._notes)
            except StateError as error:
                self._troubles.append(str(error))
        return list(dict.fromkeys(self._troubles))

    def hand_back(self) -> bytes:
        """The samples of a worker, for the process that writes the file."""
        return msgspec.json.encode((self._notes, self._troubles))

    def take_back(self, handed_back: bytes) -> None:
        """Add the samples of a worker."""
        notes, troubles = msgspec.json.decode(handed_back, type=tuple[list[Note], list[str]])
        self._notes += notes
        self._troubles += troubles


def _forgotten(remembered: Mapping[Query[Any], Observation], why: str) -> dict[Query[Any], Observation]:
    return {query: msgspec.structs.replace(one, forgotten=why) for query, one in remembered.items()}


def _with_those_of_now(remembered: Mapping[Query[Any], Observation]) -> dict[Query[Any], Observation]:
    """The same; queries for earlier answers also see the answers of this run."""
    now: dict[Query[Any], tuple[Sample[Any], ...]] = {}
    for query, one in remembered.items():
        if query.noted and query.remembered_as != query:
            sample = Sample(taken_at=one.taken_at, answer=one.answer)
            now[query.remembered_as] = (*now.get(query.remembered_as, ()), sample)
    return {
        query: one
        if query.noted
        else msgspec.structs.replace(one, earlier=one.earlier + now.get(query.remembered_as, ()))
        for query, one in remembered.items()
    }
