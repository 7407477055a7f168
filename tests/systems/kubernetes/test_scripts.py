"""What a container's script would hide, told from its text, of which nothing is kept."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.kubernetes.batch import CronJob
from opscheck.systems.kubernetes.scripts import DATE_TWICE, IGNORED, NO_PIPEFAIL, flaws, script_of

PIPED = NO_PIPEFAIL.format(program="pg_dump")
BAD = {
    "a pipe": "pg_dump shop | gzip > shop.gz",
    "a pipe with errors": "pg_dump shop |& gzip > shop.gz",
    "a path": "/usr/lib/postgresql/17/bin/pg_dump shop | gzip > shop.gz",
    "a password before it": "PGPASSWORD=x pg_dump shop | gzip | aws s3 cp - s3://shop",
    "over several lines": "pg_dump \\\n  --format=plain shop \\\n  | gzip > shop.gz",
    "inside another program": "kubectl exec db-0 -- pg_dump shop | gzip > shop.gz",
    "errexit alone": "set -e\npg_dump shop | gzip > shop.gz",
    "in a function": "dump() { pg_dump shop | gzip > shop.gz; }; dump",
    "pipefail in a comment": "# set -o pipefail\npg_dump shop | gzip > shop.gz",
    "quoted signs": "pg_dump 'a|b' \"c;d\" shop | gzip > shop.gz",
}
GOOD = {
    "pipefail": "set -o pipefail; pg_dump shop | gzip > shop.gz",
    "pipefail among others": "set -euo pipefail\npg_dump shop | gzip > shop.gz",
    "PIPESTATUS": 'pg_dump shop | gzip > shop.gz; [ "${PIPESTATUS[0]}" = 0 ]',
    "no pipe": "pg_dump --file=shop.dump --format=custom shop",
    "or": "pg_dump --file=shop.dump shop || exit 1",
    "quoted": "echo 'pg_dump shop | gzip'",
    "in a comment": "pg_dump -f x shop # | gzip",
    "the last of a pipe": "cat list | tar -cf x.tar -T -",
    "another program": "ls /backup | sort | tail -1",
    "a name like it": "my-pg_dump shop | gzip > shop.gz",
    "clobbering": "pg_dump shop >| shop.sql",
    "one date": "name=shop-$(date +%F).gz; pg_dump -f $name shop; aws s3 cp $name s3://shop",
    "two dates to be read": "echo start $(date +%T)\npg_dump -f x shop\necho end $(date +%T)",
    "two formats": "pg_dump -f $(date +%F)/$(date +%H).dump shop",
    "dates of other days": "rm $(date -d '7 days ago' +%F).gz; pg_dump -f $(date +%F).gz shop",
}


@pytest.mark.parametrize("name", BAD)
def test_a_pipe_that_hides_a_failure_is_told(name):
    assert (PIPED,) == flaws(("sh", "-c", BAD[name]))


@pytest.mark.parametrize("name", GOOD)
def test_script_that_hides_no_failure_has_no_flaw(name):
    assert () == flaws(("sh", "-c", GOOD[name]))


@pytest.mark.parametrize("end", ["true", ":", "exit 0"])
def test_a_failure_that_is_ignored_is_told(end):
    assert (IGNORED.format(program="mysqldump"),) == flaws(("bash", "-c", f"mysqldump shop > x || {end}\ngzip x"))


def test_to_ignore_the_failure_of_something_else_is_left_alone():
    assert () == flaws(("sh", "-c", "rm old || true; pg_dump -f x shop"))


@pytest.mark.parametrize(
    "script",
    [
        "pg_dump -f b-$(date +%Y%m%d-%H%M).gz shop; aws s3 cp b-$(date +%Y%m%d-%H%M).gz s3://shop",
        "pg_dump -f b-`date '+%F %T'` shop; aws s3 cp b-$(date \"+%F %T\") s3://shop",
        "touch $(/bin/date -u +%s); ls $(date -u +%s)",
    ],
)
def test_a_name_that_is_computed_twice_is_told(script):
    assert (DATE_TWICE,) == flaws(("sh", "-c", script))


@pytest.mark.parametrize(
    ("words", "script"),
    [
        (("/bin/sh", "-c", "x"), "x"),
        (("bash", "-ec", "x"), "x"),
        (("/usr/bin/env", "bash", "-c", "x"), "x"),
        (("env", "A=b", "sh", "-c", "x"), "x"),
        (("busybox", "sh", "-c", "x"), "x"),
        (("bash", "-e", "-u", "-c", "x", "name"), "x"),
        (("bash", "--norc", "-c", "x"), "x"),
        (("/scripts/backup.sh",), ""),
        (("bash", "/scripts/backup.sh"), ""),
        (("pg_dump", "-c", "shop"), ""),
        (("restic", "backup", "sh"), ""),
        (("sh",), ""),
        (("sh", "-c"), ""),
        ((), ""),
    ],
)
def test_the_script_is_found_where_a_shell_gets_it(words, script):
    assert script == script_of(words)[0]


@pytest.mark.parametrize("words", [("bash", "-euo", "pipefail", "-c"), ("bash", "-o", "pipefail", "-ec")])
def test_pipefail_may_be_an_option_of_the_shell(words):
    assert () == flaws((*words, BAD["a pipe"]))


def test_of_what_is_read_nothing_is_kept():
    container = {"name": "dump", "command": ["sh", "-c"], "args": ["pg_dump postgresql://a:geheim@db | gzip > x"]}
    spec = {"jobTemplate": {"spec": {"template": {"spec": {"containers": [container]}}}}}
    read = msgspec.json.decode(msgspec.json.encode({"spec": spec}), type=CronJob)
    written = msgspec.json.encode(read)

    assert [(True, (PIPED,))] == [(one.has_script, one.flaws) for one in read.spec.containers]
    assert b"geheim" not in written
    assert b"gzip" not in written
    assert read == msgspec.json.decode(written, type=CronJob)


@given(st.lists(st.text(max_size=40), max_size=6))
def test_no_text_raises_or_is_told(words):
    known = {DATE_TWICE}

    for flaw in flaws(("sh", "-c", *words)):
        assert flaw in known or flaw.startswith(("pipes ", "ignores a failure of "))
