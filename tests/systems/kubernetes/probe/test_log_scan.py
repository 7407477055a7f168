"""Reading logs: lines are counted however the bytes are cut, and grouped by what they have in common."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.kubernetes.probe.log_scan import LONGEST_LINE, LogScan, compiled, most_frequent, signature_of

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ERROR = compiled("ERROR", ignore_case=False)


def stamped(*lines: str) -> bytes:
    """A log as the kubelet sends it, a second from line to line."""
    times = ((START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%f") for number in range(len(lines)))
    return "".join(f"{time}000Z {line}\n" for time, line in zip(times, lines, strict=True)).encode()


def scanned(*chunks: bytes, matches=ERROR, cut=False, after=None) -> LogScan:
    scan = LogScan(matches, after=after)
    for chunk in chunks:
        scan.feed(chunk)
    scan.finish(cut=cut)
    return scan


def test_matching_lines_are_counted_with_their_times():
    scan = scanned(stamped("INFO", "ERROR 1", "ERROR 2", "INFO"))

    assert (4, 2) == (scan.lines, scan.matched)
    assert (START + timedelta(seconds=1), START + timedelta(seconds=2)) == (scan.first_match, scan.last_match)
    assert (START, START + timedelta(seconds=3)) == (scan.first, scan.last)


def test_the_time_of_a_line_is_no_part_of_it():
    assert 0 == scanned(stamped("INFO"), matches=compiled("2026", ignore_case=False)).matched


@given(st.data(), st.lists(st.sampled_from(["ERROR a", "INFO", "", "ERROR é", "x" * 5000]), max_size=6))
def test_it_does_not_matter_how_the_bytes_arrive(data, lines):
    log = stamped(*lines)
    at = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=5)))
    pieces = [log[start:end] for start, end in zip([0, *at], [*at, len(log)], strict=True)]

    scan = scanned(*pieces)

    assert (len(lines), sum("ERROR" in line for line in lines), len(log)) == (scan.lines, scan.matched, scan.size)


def test_only_the_beginning_of_a_long_line_is_searched():
    long = "x" * (LONGEST_LINE - 5) + "ERROR"

    assert 1 == scanned(stamped(long)).matched
    assert 0 == scanned(stamped("x" + long)).matched
    assert 2 == scanned(stamped(long + "ERROR" * 10_000, "ERROR")).matched


def test_half_a_line_at_the_end_of_a_cut_log_does_not_count():
    log = stamped("ERROR 1", "ERROR 2")

    assert 2 == scanned(log[:-1]).matched
    assert 1 == scanned(log[:-1], cut=True).matched
    assert 1 == scanned(log[:-30], cut=True).matched
    assert "" == scanned(log[:-30], cut=True).complaint


def test_lines_that_another_scan_has_counted_are_left_out():
    scan = scanned(stamped("ERROR 1", "ERROR 2", "ERROR 3"), after=START + timedelta(seconds=1))

    assert (1, 3) == (scan.matched, scan.seen)


@pytest.mark.parametrize(
    "text",
    [
        b"unable to retrieve container logs for containerd://c0ffee",
        b'failed to try resolving symlinks in path "/var/log/pods/x/0.log": no such file or directory\n',
        b"2026-03-01 12:00:00 ERROR without the kubelet's time\n",
    ],
)
def test_a_line_without_the_kubelets_time_is_no_line_of_the_log(text):
    scan = scanned(text)

    assert (0, 0) == (scan.lines, scan.matched)
    assert text.decode().strip() == scan.complaint


def test_a_time_with_nanoseconds_and_an_offset_is_a_time():
    scan = scanned(b"2026-03-01T14:00:00.123456789+02:00 ERROR\n")

    assert START + timedelta(microseconds=123456) == scan.first_match


def test_bytes_that_are_no_utf_8_are_searched_all_the_same():
    assert 1 == scanned(stamped("x").replace(b"x", b"\xff ERROR \xfe")).matched


def test_capitals_and_small_letters_may_be_the_same():
    assert 1 == scanned(stamped("Error"), matches=compiled("ERROR", ignore_case=True)).matched


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("job 17 failed after 31.5 ms", "job 4 failed after 2 ms"),
        ("at 2026-03-01T12:00:00.5Z it broke", "at 2026-03-02 11:00:00+01:00 it broke"),
        ("12:00:00,123 it broke", "13:11:59,001 it broke"),
        ("from 10.0.0.11:5432", "from 10.9.8.7:80"),
        ("order 0b54f32c-5f1e-4ce5-9d2c-1f2a4f6d8e90", "order 7d4b9c6f-0000-4ce5-9d2c-aaaaaaaaaaaa"),
        ("commit 4bf92f3577b34da6", "commit 00f067aa0ba902b7"),
        ("address 0xdeadbeef", "address 0x10"),
        ('no user "jane"', 'no user "joe of the \\"hill\\""'),
        ("no user 'jane'", "no user 'joe'"),
        ("  spaced   out", "spaced out"),
    ],
)
def test_lines_that_differ_in_what_varies_have_one_signature(line, other):
    assert signature_of(line) == signature_of(other)


def test_lines_that_say_something_else_do_not():
    assert signature_of("cannot open file") != signature_of("cannot close file")
    assert "it's the user's fault" == signature_of("it's the user's fault")


def test_a_signature_is_bounded():
    assert 300 == len(signature_of("word " * 1000))


def test_the_most_frequent_signatures_of_all_logs_come_first():
    one = scanned(stamped("ERROR job 1", "ERROR job 2", "ERROR paper"))
    two = scanned(stamped("ERROR job 9", "ERROR fire", "ERROR fire"))

    found = most_frequent([("web-1", one), ("web-2", two)])

    assert [(3, 2, "ERROR job 1"), (2, 1, "ERROR fire"), (1, 1, "ERROR paper")] == [
        (signature.lines, signature.pods, signature.sample) for signature in found
    ]


def test_an_endless_number_of_messages_costs_little():
    letters = [
        f"ERROR {chr(97 + a)}{chr(97 + b)}{chr(97 + c)}" for a in range(26) for b in range(26) for c in range(26)
    ]

    scan = scanned(stamped(*letters))

    assert 26**3 == scan.matched
    assert 500 == len(scan.signatures)
    assert 10 == len(most_frequent([("web-1", scan)]))


def test_secrets_are_in_neither_signature_nor_sample():
    (signature,) = most_frequent([("web-1", scanned(stamped("ERROR password=hunter2")))])

    assert "ERROR password=***" == signature.text == signature.sample
