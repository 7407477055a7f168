"""Reading the table of mounts."""

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.host.mounts import Mount, MountTable
from opscheck.systems.host.probe.commands import Run, one_line, sections
from opscheck.systems.host.probe.disk import mount_rows

# Only what is on a device of this machine is looked at: a share whose server is gone would hang. The table writes a
# space as \040, which printf takes back.
_MOUNTS = r"""
echo opscheck:mounts; cat /proc/mounts || exit $?;
echo opscheck:files;
while read -r source place rest; do
  case $source in /dev/*) test -d "$(printf %b "$place")" || printf '%s\n' "$place";; esac;
done < /proc/mounts
"""


def list_mounts(run: Run, timeout_s: float) -> MountTable:
    """The mounts on directories. Raises ProbeError."""
    finished = run(_MOUNTS, (), timeout_s)
    parts = sections(finished.stdout.decode(errors="replace"))
    if finished.status != 0 or "files" not in parts:
        said = one_line(finished.stderr.decode(errors="replace"))
        raise ProbeError(ProblemKind.UNSUPPORTED, f"/proc/mounts cannot be read there: {said}")
    files = {row[1] for row in mount_rows("".join(f"- {line} - -\n" for line in parts["files"].splitlines()))}
    return MountTable(
        mounts=tuple(
            Mount(source=source, place=place, type=type_, options=tuple(options.split(",")))
            for source, place, type_, options in mount_rows(parts["mounts"])
            if place not in files
        )
    )
