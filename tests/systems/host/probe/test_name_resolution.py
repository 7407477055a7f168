"""Name resolution of the host probe: real getent and nslookup, a real DNS server, and output from bug reports."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from opscheck import HostTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.host.name_resolution import Resolution, ResolveName
from opscheck.systems.host.probe import open_session
from opscheck.systems.host.probe.name_resolution import parse_resolution
from tests.servers.dns import ADDRESS, SERVER_FAILURE, dns_server

NAME = "api.shop.svc.cluster.local"
CONTROL = "kubernetes.default.svc.cluster.local"
KNOWN = {NAME: ["10.96.0.7", "fd00::7"], CONTROL: ["10.96.0.1"]}

Resolve = Callable[..., Resolution]
Serve = Callable[..., AbstractContextManager[None]]


@pytest.fixture(name="serve")
def _serve() -> Serve:
    """A DNS server on a loopback address of its own."""
    try:
        with dns_server({}):
            pass
    except OSError as error:
        pytest.skip(f"port 53 may not be had here: {error}")
    return dns_server


@pytest.fixture(name="bin_with")
def _bin_with(tmp_path, monkeypatch) -> Callable[..., Path]:
    """A PATH of its own with the tools named, each run where /etc/resolv.conf names the test's server."""
    resolv, hosts, folder = tmp_path / "resolv.conf", tmp_path / "hosts", tmp_path / "bin"
    resolv.write_text(
        f"nameserver {ADDRESS}\noptions ndots:5 attempts:1\nsearch shop.svc.cluster.local cluster.local\n"
    )
    hosts.write_text("127.0.0.1 localhost\n192.0.2.9 by-file.example.com\n")
    mounts = f"mount --bind {resolv} /etc/resolv.conf && mount --bind {hosts} /etc/hosts"
    tried = subprocess.run(["unshare", "-m", "sh", "-c", mounts], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"private mounts are not permitted here: {tried.stderr.strip()}")
    folder.mkdir()
    for program in ("sh", "timeout", "unshare", "mount", "true"):
        (folder / program).symlink_to(shutil.which(program))
    monkeypatch.setenv("PATH", str(folder))

    def bin_with(**tools: str) -> Path:
        for tool, command in tools.items():
            (folder / tool).write_text(
                f'#!/bin/sh\nexec unshare -m sh -c \'{mounts} && exec {command} "$@"\' sh "$@"\n'
            )
            (folder / tool).chmod(0o755)
        return folder

    return bin_with


def resolve(name: str = NAME, timeout_s: float = 10) -> Resolution:
    session = open_session(HostTarget(kind="host", uri="local://"), 10)
    return session.ask(ResolveName("host", host_name=name, control=CONTROL), timeout_s)


GETENT = {"getent": shutil.which("getent") or "getent"}


@pytest.fixture(name="nslookup")
def _nslookup(busybox: Path) -> dict[str, str]:
    return {"nslookup": f"{busybox} nslookup"}


needs_getent = pytest.mark.skipif(shutil.which("getent") is None, reason="getent is not installed")


@needs_getent
def test_name_resolves_as_programs_resolve_it(serve, bin_with):
    bin_with(**GETENT)
    with serve(KNOWN):
        found = resolve()

    assert {"10.96.0.7", "fd00::7"} == set(found.addresses)
    assert ("getent", "", None, False) == (found.tool, found.said, found.control_resolved, found.stopped)
    assert found.seconds is not None
    assert 0 <= found.seconds < 5


@needs_getent
def test_the_hosts_file_counts_as_it_does_for_programs(serve, bin_with):
    bin_with(**GETENT)
    with serve({}):
        assert ("192.0.2.9",) == resolve("by-file.example.com").addresses


@needs_getent
def test_missing_name_has_a_resolved_control(serve, bin_with):
    bin_with(**GETENT)
    with serve(KNOWN):
        found = resolve("lost.shop.svc.cluster.local")

    assert ((), True, False) == (found.addresses, found.control_resolved, found.stopped)


@needs_getent
@pytest.mark.parametrize("fault", [{"code": SERVER_FAILURE}, None], ids=["it fails", "nobody listens"])
def test_failing_resolver_resolves_no_control(serve, bin_with, fault):
    bin_with(**GETENT)
    if fault is None:
        found = resolve()
    else:
        with serve({}, **fault):
            found = resolve()

    assert ((), False, False) == (found.addresses, found.control_resolved, found.stopped)


@needs_getent
def test_silent_resolver_is_stopped_in_time(serve, bin_with):
    bin_with(**GETENT)
    with serve({}, silent=True):
        found = resolve(timeout_s=3)

    assert ((), True, False) == (found.addresses, found.stopped, found.control_resolved)
    assert 1 <= found.seconds < 3


@needs_getent
@pytest.mark.parametrize(
    ("fault", "said"),
    [({}, "NXDOMAIN"), ({"code": SERVER_FAILURE}, "SERVFAIL")],
)
def test_nslookup_gives_the_reason_next_to_getent(nslookup, serve, bin_with, fault, said):
    bin_with(**GETENT, **nslookup)
    with serve({}, **fault):
        found = resolve()

    assert ("getent", f"server can't find {NAME}: {said}") == (found.tool, found.said)


def test_nslookup_replaces_a_missing_getent(nslookup, serve, bin_with):
    bin_with(**nslookup)
    with serve(KNOWN):
        found, lost = resolve(), resolve("lost.shop.svc.cluster.local")

    assert ({"10.96.0.7", "fd00::7"}, "nslookup") == (set(found.addresses), found.tool)
    assert ((), True, "server can't find lost.shop.svc.cluster.local: NXDOMAIN") == (
        lost.addresses,
        lost.control_resolved,
        lost.said,
    )


def test_host_without_resolver_tools_is_unsupported(bin_with):
    bin_with()

    with pytest.raises(ProbeError, match="getent and nslookup are not installed there") as raised:
        resolve()

    assert ProblemKind.UNSUPPORTED is raised.value.problem.kind
    assert "set `from` to a host or container with one of them" == raised.value.problem.advice
    assert not raised.value.problem.target_down


def test_getent_without_ahosts_uses_hosts(bin_with):
    folder = bin_with()
    script = '[ "$1" = hosts ] || { echo "Unknown database: $1" >&2; exit 1; }; echo "10.96.0.7       $2  $2"'
    (folder / "getent").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "getent").chmod(0o755)

    assert ("10.96.0.7",) == resolve().addresses


# Output of nslookup in bug reports


def told(found: str, *, status: int = 0, control: str = "", tool: str = "nslookup") -> Resolution:
    parts = [f"opscheck:found\n{found}\n", f"opscheck:how\n{tool};{status};10.00;10.05\n"]
    return parse_resolution("".join([*parts, *([f"opscheck:control\n{control}\n"] if control else [])]))


SERVER = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n"


def test_busybox_61_missing_other_family_is_accepted():
    text = f"{SERVER}Non-authoritative answer:\nName:\t{NAME}\nAddress: 10.0.0.1\n\n*** Can't find {NAME}: No answer\n"

    assert (("10.0.0.1",), "") == (told(text).addresses, told(text).said)


def test_lxd_8390_exit_status_1_with_address_is_accepted():
    text = f"{SERVER}Name:\tc1.lxd\nAddress: 240.126.0.249\n** server can't find c1.lxd: NXDOMAIN\n"

    found = told(text, status=1, control=text)

    assert (("240.126.0.249",), None, False) == (found.addresses, found.control_resolved, found.stopped)


def test_busybox_75_numbered_addresses_are_read():
    text = (
        "Server:    10.96.0.10\nAddress 1: 10.96.0.10 kube-dns.kube-system.svc.cluster.local\n\n"
        "Name:      kubernetes.default\nAddress 1: 10.96.0.1 kubernetes.default.svc.cluster.local\n"
    )

    assert ("10.96.0.1",) == told(text).addresses


def test_docker_alpine_539_nameless_server_is_accepted():
    text = "nslookup: can't resolve '(null)': Name does not resolve\n\nName:      zookeeper\nAddress 1: 10.99.146.94\n"

    assert ("10.99.146.94",) == told(text).addresses


def test_the_address_of_the_server_is_not_that_of_the_name():
    text = f"{SERVER}** server can't find {NAME}: NXDOMAIN\n"

    found = told(text, status=1, control=f"{SERVER}Name:\t{CONTROL}\nAddress: 10.96.0.1\n")

    assert ((), f"server can't find {NAME}: NXDOMAIN", True) == (found.addresses, found.said, found.control_resolved)


def test_binds_nslookup_is_read_too():
    alias = f"{SERVER}www.example.com\tcanonical name = example.com.\nName:\texample.com\nAddress: 192.0.2.1\n"
    late = ";; communications error to 10.96.0.10#53: timed out\n;; connection timed out; no servers could be reached\n"

    assert ("192.0.2.1",) == told(alias).addresses
    assert (
        "communications error to 10.96.0.10#53: timed out; connection timed out; no servers could be reached"
        == told(late, status=1).said
    )


def test_scope_is_removed_from_an_address():
    assert ("fe80::1",) == told("fe80::1%eth0  STREAM host\n", tool="getent ahosts").addresses


def test_duration_is_unknown_without_a_clock():
    output = "opscheck:found\n10.0.0.1 STREAM x\n\nopscheck:how\ngetent ahosts;0;;\n"

    assert parse_resolution(output).seconds is None


@pytest.mark.parametrize("output", ["", "opscheck:found\n", "opscheck:how\nnonsense\n", "<html>"])
def test_foreign_output_is_unreadable(output):
    with pytest.raises(ProbeError) as raised:
        parse_resolution(output)

    assert ProblemKind.UNREADABLE is raised.value.problem.kind
