"""The host probe on this machine, on real mounts, and on hosts that cannot be reached."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opscheck import HostTarget, Query
from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.systems.host.disk import DiskAnswer, DiskUse, Filesystem, Inodes
from opscheck.systems.host.mounts import ListMounts
from opscheck.systems.host.probe import HostSession, open_session
from opscheck.systems.host.probe.disk import parse_disk
from opscheck.transport.processes import folder, free_port

Mount = Callable[..., Path]


@pytest.fixture(name="mount")
def _mount(tmp_path) -> Iterator[Mount]:
    """Mounts a small filesystem of its own below a folder with a blank in its name."""
    mounted: list[Path] = []

    def mount(*options: str) -> Path:
        place = tmp_path / f"disk {len(mounted)}"
        place.mkdir()
        made = subprocess.run(["mount", *options, place], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"mounting is not permitted here: {made.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in reversed(mounted):
        subprocess.run(["umount", place], check=True)


@pytest.fixture(name="program")
def _program(tmp_path, monkeypatch) -> Callable[[str, str], None]:
    """Puts a shell script in front of a program of this machine."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return write


def here() -> HostSession:
    return open_session(HostTarget(kind="host", uri="local://"), 10)


def disk(path: str | Path) -> Filesystem:
    found = here().ask(DiskUse("host", mount=str(path)), 10).filesystem
    assert found is not None
    return found


def problem_of(call: Callable[[], object]) -> Problem:
    with pytest.raises(ProbeError) as raised:
        call()
    return raised.value.problem


def unreachable(uri: str, timeout_s: float = 10) -> Problem:
    return problem_of(lambda: open_session(HostTarget(kind="host", uri=uri), timeout_s))


def test_the_root_filesystem_is_seen():
    found = disk("/")
    seen = os.statvfs("/")

    assert ("/", seen.f_blocks * seen.f_frsize) == (found.mounted_on, found.size)
    # Others write to it all the time.
    assert abs((seen.f_blocks - seen.f_bfree) * seen.f_frsize - found.used) < found.size / 10
    assert abs(seen.f_bavail * seen.f_frsize - found.available) < found.size / 10


def test_space_and_inodes_of_a_mount_are_counted(mount):
    place = mount("-t", "tmpfs", "-o", "size=4m,nr_inodes=50", "some source")
    (place / "file").write_bytes(b"x" * 2**20)

    expected = Filesystem(
        mounted_on=str(place),
        source="some source",
        type="tmpfs",
        read_only=False,
        size=4 * 2**20,
        used=2**20,
        available=3 * 2**20,
        inodes=Inodes(used=2, free=48),
    )
    assert expected == disk(place)


def test_of_two_mounts_of_one_device_each_is_named(mount):
    place = mount("--bind", "/etc")

    assert str(place) == disk(place).mounted_on


def test_read_only_mount_is_reported(mount):
    assert disk(mount("-t", "tmpfs", "-o", "ro", "tmpfs")).read_only


def test_a_folder_names_the_mount_that_holds_it(mount):
    place = mount("-t", "tmpfs", "tmpfs")
    (place / "folder").mkdir()

    assert str(place) == disk(place / "folder").mounted_on


def test_a_symbolic_link_is_followed(mount, tmp_path):
    place = mount("-t", "tmpfs", "tmpfs")
    (tmp_path / "link").symlink_to(place)
    answer = here().ask(DiskUse("host", mount=f"{tmp_path}/link/"), 10)

    assert str(place) == answer.path == answer.filesystem.mounted_on


@pytest.mark.parametrize("name", ["nothing", "a b", "it's", "$(touch injected)", "; touch injected", "%s", "größe"])
def test_missing_path_is_an_answer_for_any_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = f"{tmp_path}/{name}"

    assert DiskAnswer(path=path, filesystem=None) == here().ask(DiskUse("host", mount=path), 10)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a b", "it's", "$(touch injected)", "%s", "größe"])
def test_path_with_any_name_is_found(tmp_path, name):
    (tmp_path / name).mkdir()

    assert f"{tmp_path}/{name}" == here().ask(DiskUse("host", mount=f"{tmp_path}/{name}"), 10).path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_path_below_closed_folder_is_denied(monkeypatch):
    # The shell started here runs as the user nobody.
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: popen(*args, user="nobody", **kwargs))

    with folder() as place:
        closed = Path(place) / "closed"
        closed.mkdir(mode=0o700)
        (closed / "data").mkdir()
        problem = problem_of(lambda: here().ask(DiskUse("host", mount=f"{closed}/data"), 10))

    assert (ProblemKind.DENIED, False) == (problem.kind, problem.target_down)
    assert f"no permission to search {closed}" == problem.text


def test_hanging_mount_is_late_and_the_host_is_up(program):
    program("df", "sleep 60")
    problem = problem_of(lambda: here().ask(DiskUse("host", mount="/"), 2))

    assert (ProblemKind.LATE, False) == (problem.kind, problem.target_down)
    assert "/ did not respond in 1s; does a network filesystem hang?" == problem.text


def test_hanging_mount_is_late_without_timeout_command(program):
    program("df", "sleep 60")
    program("timeout", "exit 127")
    problem = problem_of(lambda: here().ask(DiskUse("host", mount="/"), 0.5))

    assert (ProblemKind.LATE, "no answer in 500ms", False) == (problem.kind, problem.text, problem.target_down)


def test_a_host_without_df_is_unsupported(program):
    program("df", "exit 127")
    problem = problem_of(lambda: here().ask(DiskUse("host", mount="/"), 10))

    assert (ProblemKind.UNSUPPORTED, "install coreutils there") == (problem.kind, problem.advice)


def test_foreign_df_output_is_unreadable(program):
    program("df", "echo all is well")

    assert ProblemKind.UNREADABLE == problem_of(lambda: here().ask(DiskUse("host", mount="/"), 10)).kind


def test_inodes_are_counted_with_df_where_stat_cannot(program):
    program("stat", "exit 1")

    assert disk("/").inodes.used > 0


def test_inodes_are_unknown_without_a_counting_tool(program):
    program("stat", "exit 1")
    program("df", f'case "$*" in *i*) exit 1;; *) exec {shutil.which("df")} "$@";; esac')

    assert disk("/").inodes is None


def test_busybox_answers_the_same(busybox_tools, mount, monkeypatch):
    place = mount("-t", "tmpfs", "-o", "size=4m,nr_inodes=50", "tmpfs")
    with_gnu = disk(place)
    monkeypatch.setenv("PATH", str(busybox_tools))

    assert with_gnu == disk(place)


def test_greeting_of_the_login_shell_is_ignored(program):
    program("ssh", 'echo "Welcome to Debian"; for last in "$@"; do :; done; eval "$last"')
    session = open_session(HostTarget(kind="host", uri="ssh://someone@somewhere"), 10)

    assert "/" == session.ask(DiskUse("host", mount="/"), 10).filesystem.mounted_on


def test_a_host_that_refuses_is_unreachable():
    port = free_port()
    problem = unreachable(f"ssh://someone@127.0.0.1:{port}?ssh_config=/dev/null")

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert f"ssh: connect to host 127.0.0.1 port {port}: Connection refused" == problem.text


def test_a_host_that_is_silent_is_late_and_down(program):
    program("ssh", "sleep 60")
    problem = unreachable("ssh://someone@somewhere", 0.5)

    assert (ProblemKind.LATE, "no answer in 500ms", True) == (problem.kind, problem.text, problem.target_down)


def test_host_that_refuses_the_login_is_denied(program):
    program(
        "ssh",
        'echo "Warning: added to the list of known hosts." >&2; echo "Permission denied (publickey)." >&2; exit 255',
    )
    problem = unreachable("ssh://someone@somewhere")

    assert (ProblemKind.DENIED, "Permission denied (publickey).") == (problem.kind, problem.text)


def test_missing_pod_is_unreachable(program):
    program("kubectl", "echo 'Error from server (NotFound): pods \"postgres-0\" not found' >&2; exit 1")
    problem = unreachable("kubectl://postgres-0?namespace=shop")

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert 'Error from server (NotFound): pods "postgres-0" not found' == problem.text


def test_a_container_without_a_shell_is_unreachable(program):
    program("docker", "exit 126")

    assert "no command ran there (exit status 126)" == unreachable("docker://postgres").text


@pytest.mark.parametrize(("uri", "name"), [("kubectl://postgres-0", "kubectl"), ("docker://postgres", "docker")])
def test_a_program_that_is_missing_here_is_named(monkeypatch, tmp_path, uri, name):
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = unreachable(uri)

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, problem.target_down)
    assert f"{name} is not installed where opscheck runs" == problem.text
    assert f"install {name}, or connect to the host in another way" == problem.advice


@pytest.mark.parametrize("uri", ["paramiko://host", "host"])
def test_unknown_testinfra_backend_is_unsupported(uri):
    problem = unreachable(uri)

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, problem.target_down)
    assert "write uri as local://" in problem.advice


def test_query_of_another_system_is_unsupported():
    class Unheard(Query[int], name="tests.unheard_by_hosts"):
        """A query that no probe answers."""

    problem = problem_of(lambda: here().ask(Unheard("host"), 10))

    assert ProblemKind.UNSUPPORTED == problem.kind


def script_output(space: str, mounts: str = "", inodes: str = "10 5\n", path: str = "/data\n") -> str:
    return f"opscheck:path\n{path}opscheck:inodes\n{inodes}opscheck:mounts\n{mounts}opscheck:space\n{space}"


HEADER = "Filesystem 1024-blocks Used Available Capacity Mounted on\n"


def test_a_share_with_blanks_in_its_name_is_read():
    answer = parse_disk(script_output(f"{HEADER}//nas/our files 100 60 40 60% /data\n"))

    assert ("//nas/our files", "/data") == (answer.filesystem.source, answer.filesystem.mounted_on)


def test_a_reserve_that_root_has_used_up_leaves_nothing():
    answer = parse_disk(script_output(f"{HEADER}/dev/sda 100 99 -4 105% /data\n"))

    assert 0 == answer.filesystem.available


def test_a_filesystem_without_inodes_is_not_limited():
    answer = parse_disk(script_output(f"{HEADER}/dev/sda 100 60 40 60% /data\n", inodes="0 0\n"))

    assert not answer.filesystem.inodes.limited


def test_a_mount_that_lies_on_top_of_another_counts():
    mounts = "/dev/a /data ext4 rw 0 0\n/dev/b /data xfs ro,noatime 0 0\n/dev/c /data/deeper ext4 rw 0 0\n"
    found = parse_disk(script_output(f"{HEADER}/dev/b 100 60 40 60% /data\n", mounts)).filesystem

    assert ("/dev/b", "xfs", True) == (found.source, found.type, found.read_only)


def test_mount_table_corrects_busybox_df():
    mounts = "/dev/a /etc/hosts ext4 rw 0 0\n/dev/a /data ext4 rw 0 0\n"
    found = parse_disk(script_output(f"{HEADER}/dev/a 100 60 40 60% /etc/hosts\n", mounts)).filesystem

    assert "/data" == found.mounted_on


def test_a_mount_with_a_blank_in_its_name_is_found():
    mounts = "/dev/a / ext4 rw 0 0\ntmpfs /our\\040data tmpfs rw 0 0\n"
    found = parse_disk(script_output(f"{HEADER}tmpfs 100 60 40 60% /our data\n", mounts, path="/our data\n")).filesystem

    assert "/our data" == found.mounted_on


@pytest.mark.parametrize("space", ["", HEADER, "df: /data: Input/output error\n"])
def test_half_an_answer_is_unreadable(space):
    assert ProblemKind.UNREADABLE == problem_of(lambda: parse_disk(script_output(space))).kind


def test_mounts_are_those_on_directories(mount):
    place = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    mounts = {one.place: one for one in here().ask(ListMounts("host"), 10).mounts}

    assert (mounts[str(place)].type, mounts[str(place)].source) == ("tmpfs", "tmpfs")
    assert "rw" in mounts[str(place)].options


def test_mounted_file_is_not_listed_as_a_disk(tmp_path):
    source, place = tmp_path / "source", tmp_path / "a file"
    source.touch()
    place.touch()
    made = subprocess.run(["mount", "--bind", source, place], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {made.stderr.strip()}")
    try:
        assert str(place).replace(" ", "\\040") in Path("/proc/mounts").read_text()
        assert str(place) not in [one.place for one in here().ask(ListMounts("host"), 10).mounts]
    finally:
        subprocess.run(["umount", place], check=True)
