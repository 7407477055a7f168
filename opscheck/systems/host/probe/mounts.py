"""Reading the table of mounts."""

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.host.mounts import Mount, MountTable
from opscheck.systems.host.probe.commands import Run, one_line, sections
from opscheck.systems.host.probe.disk import mount_rows

# Shares are not looked at: one whose server is gone would hang. The table writes a space as \040, printf as \0040.
_MOUNTS = r"""
table=$(cat /proc/mounts) || exit $?;
echo opscheck:mounts; printf '%s\n' "$table";
echo opscheck:files; number=0;
printf '%s\n' "$table" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g' | while read -r source place type rest; do
  number=$((number+1));
  case $type in nfs*|cifs|smb*|ceph|fuse*|9p|lustre|gpfs) continue;; esac;
  test -d "$(printf %b "$place")" || echo $number;
done
"""


def list_mounts(run: Run, timeout_s: float) -> MountTable:
    """The mounts on directories. Raises ProbeError."""
    finished = run(_MOUNTS, (), timeout_s)
    parts = sections(finished.stdout.decode(errors="replace"))
    if finished.status != 0 or "files" not in parts:
        said = one_line(finished.stderr.decode(errors="replace"))
        raise ProbeError(ProblemKind.UNSUPPORTED, f"/proc/mounts cannot be read there: {said}")
    files = {int(number) for number in parts["files"].split()}
    return MountTable(
        mounts=tuple(
            Mount(source=source, place=place, type=type_, options=tuple(options.split(",")))
            for number, (source, place, type_, options) in enumerate(mount_rows(parts["mounts"]), start=1)
            if number not in files
        )
    )
