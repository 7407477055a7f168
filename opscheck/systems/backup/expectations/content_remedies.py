"""What to do about a backup that is not whole, and what commands name of it."""

from collections.abc import Iterator, Mapping

from opscheck.core.expectation import Remediation
from opscheck.systems.backup.expectations.buckets import aws, of_bucket

PACKERS: Mapping[str, str] = {
    ".gz": "gzip",
    ".tgz": "gzip",
    ".zst": "zstd",
    ".xz": "xz",
    ".bz2": "bzip2",
    ".lz4": "lz4",
}
"""By how a name ends, the program that packs such files."""

_UNPACKED = (".dump", ".tar", ".sql", "/")
_NAMES = tuple(dict.fromkeys(PACKERS.values()))
# The dump has its name once it is known to be whole, so that nobody takes half of one for a backup.
_CUSTOM = "pg_dump -d {0} -Fc -f {1}.tmp && pg_restore -f /dev/null {1}.tmp && mv {1}.tmp {1}"
_PACKED = (
    "set -o pipefail; pg_dump -d {0} | {2} -c > {1}.tmp"
    " && {2} -dc {1}.tmp | tail -n 12 | grep 'dump complete' && mv {1}.tmp {1}"
)
_KNOWN, _UNKNOWN = "{{ database }}", '"$DATABASE"'


def packers_of(names: str) -> frozenset[str]:
    """The programs that may have packed what is named so; all of them where names do not say."""
    found = next((packer for end, packer in PACKERS.items() if names.endswith(end)), None)
    if found is not None:
        return frozenset({found})
    return frozenset() if names.endswith(_UNPACKED) else frozenset(_NAMES)


def packed(packer: str) -> str:
    """The fact that is a broken backup which that program has packed."""
    return f"{packer}_broken"


def packed_file(packer: str) -> str:
    """The same, in a folder."""
    return f"{packer}_broken_file"


def packed_again(packer: str) -> str:
    """The fact that is a name for a new dump packed by that program."""
    return f"{packer}_again"


def of_packer(packer: str) -> set[str]:
    """All facts that are about that program."""
    return {packed(packer), f"own_{packed(packer)}", packed_file(packer), packed_again(packer)}


def _facts_of(packer: str) -> dict[str, str]:
    return {
        **of_bucket(packed(packer), f"a broken backup packed with {packer}, as s3://…"),
        packed_file(packer): "the same, in a folder",
        packed_again(packer): f"a name for a new dump packed with {packer}",
    }


def _commands_of(packer: str) -> Iterator[str]:
    show = f"{packer} -dc | tail -n 12  # what there is of it ends so"
    yield from aws(f"s3 cp {{place}} - | {show}", on=packed(packer))
    yield f"{packer} -dc {{{{ {packed_file(packer)} }}}} | tail -n 12  # what there is of it ends so"
    yield _PACKED.format(_UNKNOWN, f"{{{{ {packed_again(packer)} }}}}", packer)


# One name for each kind of trouble: a command that names it is left out of findings about another one. Those with
# `own_` are there where the policy names the store's endpoint.
FACTS: Mapping[str, str] = {
    **of_bucket("listed", "where backups should be and none is, as s3://…"),
    "folder": "the same, in a folder",
    **of_bucket("archive", "a broken dump in custom or tar format, as s3://…"),
    "archive_file": "the same, in a folder",
    **{name: text for packer in _NAMES for name, text in _facts_of(packer).items()},
    **of_bucket("differing", "a backup whose checksum differs, as s3://…"),
    "differing_file": "the same, in a folder",
    "database": "the database that a broken dump is of, where it says so",
    "new_dump": "a name for a new dump of that database",
    "dump_again": "a name for a new dump of a database that is not known",
    **of_bucket("published", "where a new one belongs, as s3://…"),
    **of_bucket("new_file", "its name on this machine"),
    "job_namespace": "the namespace of the cron job that makes them, where the policy names it",
    "rerun_of": "the cron job",
    "rerun": "a name for another run of it",
}

JOB_FACTS = {"job_namespace", "rerun_of", "rerun"}
FOLDER_FACTS = {"folder", "archive_file", "differing_file", *(packed_file(packer) for packer in _NAMES)}

REMEDIATION = Remediation(
    summary="Have the script fail where a part of it fails, make a new backup now, and verify it before it counts",
    commands=(
        *aws("s3 ls --recursive {place} | sort | tail  # what is there, newest last", on="listed"),
        "ls -lt {{ folder }} | head  # what is there, newest first",
        *aws("s3 cp {place} - | pg_restore -f /dev/null  # says where it breaks", on="archive"),
        "pg_restore -f /dev/null {{ archive_file }}  # says where it breaks",
        *aws("s3 cp {place} - | sha256sum  # as it is now", on="differing"),
        "sha256sum {{ differing_file }}  # as it is now",
        *(command for packer in _NAMES for command in _commands_of(packer)),
        "kubectl -n {{ job_namespace }} create job --from=cronjob/{{ rerun_of }} {{ rerun }}",
        _CUSTOM.format(_KNOWN, "{{ new_dump }}"),
        _CUSTOM.format(_UNKNOWN, "{{ dump_again }}"),
        "aws s3 cp {{ new_file }} {{ published }}",
        "aws --endpoint-url {{ endpoint_url }} s3 cp {{ own_new_file }} {{ own_published }}",
    ),
)
