"""The cost of an expectation without its query: thousands of a check that sends none."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from measure import Median, Took, medians
from table import Line, megabytes, ratio, seconds
from workspace import Entry, Workspace, workspace

_ONE, _FEW, _MANY = 1, 1_000, 10_000
_AIM_EACH_S, _AIM_BYTES = 0.001, 300_000_000
_STILL_LINEAR = 1.25

# No query is sent to them, but every text of every result is searched for their secrets.
_TARGETS: dict[str, Entry] = {
    "api": {
        "kind": "http",
        "base_url": "https://api.example.com",
        "headers": {"Authorization": "Bearer ${BENCH_API_TOKEN}"},
    },
    "database": {"kind": "postgres", "dsn": "${BENCH_DATABASE_URL}"},
    "cache": {"kind": "redis", "url": "${BENCH_CACHE_URL}"},
}
_SECRETS = {
    "api_token": "not-a-token-of-anybody-4711",
    "database_url": "postgresql://opscheck:not-a-password@database.example.com:5432/production",
    "cache_url": "rediss://opscheck:not-a-password-either@cache.example.com:6379/0",
}


@dataclass(frozen=True)
class _Growth:
    """
    The same process with one, a thousand and ten thousand.

    It never waits: processor time equals wall time, and other processes do not change it.
    """

    one: Median
    few: Median
    many: Median

    @property
    def early(self) -> float:
        """Processor seconds for each of the first thousand, without starting the process."""
        return (self.few.processor_s - self.one.processor_s) / (_FEW - _ONE)

    @property
    def late(self) -> float:
        """Processor seconds for each of the other nine thousand."""
        return (self.many.processor_s - self.few.processor_s) / (_MANY - _FEW)


def per_expectation(runs: int) -> Iterable[Line]:
    """Compared with as many tests of plain pytest that compare two numbers."""
    runs = max(1, runs // 2)  # these take long
    with workspace() as place:
        measured = medians(
            runs,
            *(partial(_opscheck, place, count) for count in (_ONE, _FEW, _MANY)),
            *(partial(_pytest, place, count) for count in (_ONE, _FEW, _MANY)),
        )
    ours, plain = _Growth(*measured[:3]), _Growth(*measured[3:])
    for count, each, whole, their_each, theirs in (
        (_FEW, ours.early, ours.few, plain.early, plain.few),
        (_MANY, ours.late, ours.many, plain.late, plain.many),
    ):
        yield Line(
            what=f"engine: {count:,} expectations without queries, three secrets",
            opscheck=f"{each * 1000:.2f} ms each, {seconds(whole.wall_s)} whole process",
            others=(f"pytest alone: {their_each * 1000:.2f} ms each, {seconds(theirs.wall_s)} whole process",),
            ratios=(f"{ratio(each, their_each)} each",),
            aim="≤ 1 ms each",
            met=each <= _AIM_EACH_S,
        )
    yield Line(
        what=f"engine: time from {_FEW:,} to {_MANY:,} grows linearly",
        opscheck=f"{ratio(ours.late, ours.early)} the time each",
        others=(f"pytest alone: {ratio(plain.late, plain.early)}",),
        aim=f"linear: ≤ {_STILL_LINEAR} x",
        met=ours.late <= _STILL_LINEAR * ours.early,
    )
    yield Line(
        what=f"engine: peak memory of {_MANY:,} expectations",
        opscheck=megabytes(ours.many.peak_bytes),
        others=(f"pytest alone: {megabytes(plain.many.peak_bytes)}",),
        ratios=(ratio(ours.many.peak_bytes, plain.many.peak_bytes),),
        aim=f"≤ {megabytes(_AIM_BYTES)}",
        met=ours.many.peak_bytes <= _AIM_BYTES,
    )


def _opscheck(place: Workspace, count: int) -> Took:
    entries = [{"id": f"trivial-{number}", "check": "bench.trivial", "most": {"P2": 1}} for number in range(count)]
    policy = place.policy(f"trivial-{count}", _TARGETS, entries)
    check = place.borrowed("checks/test_trivial.py")
    return place.opscheck(policy, check, counts={"declared": count, "passed": count}, variables=_SECRETS)


def _pytest(place: Workspace, count: int) -> Took:
    return place.pytest("nothing.py", says=f"{count} passed", count=count)
