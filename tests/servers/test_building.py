"""The programs of a control plane are built once, whole, and only when somebody asks for it. Go is a script here."""

import multiprocessing
import os
import stat

import pytest

from tests.cluster import building
from tests.cluster.building import find_programs
from tests.servers.cache import NotThere

PROGRAMS = ("server", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
_GO = f"""#!/bin/sh
case "$1" in
  env) echo "${{GO_VERSION:-go1.26.0}}"; exit ;;
esac
echo build >> "$BUILDS"
while [ "$1" != -o ]; do shift; done
for program in {" ".join(PROGRAMS)}; do echo > "$2/$program"; done
"""


@pytest.fixture(name="machine", autouse=True)
def _machine(tmp_path, monkeypatch):
    """A machine with a Go and nothing built; what was found before is forgotten."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(_GO)
    go.chmod(go.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    monkeypatch.setenv(building.REQUIRED, "1")
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    find_programs.cache_clear()
    yield tmp_path
    find_programs.cache_clear()


def builds(machine) -> int:
    path = machine / "builds"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_programs_are_built_into_the_users_cache(machine):
    programs = find_programs()

    assert programs.folder.is_relative_to(machine / "cache" / "opscheck" / "servers")
    assert programs["etcd"].is_file()
    assert programs.has_controllers


def test_concurrent_processes_build_once(machine):
    context = multiprocessing.get_context("spawn")
    together = [context.Process(target=find_programs) for _ in range(3)]
    for process in together:
        process.start()
    for process in together:
        process.join(60)

    assert [0, 0, 0] == [process.exitcode for process in together]
    assert 1 == builds(machine)


def test_another_go_version_builds_again(machine, monkeypatch):
    first = find_programs()
    find_programs.cache_clear()
    monkeypatch.setenv("GO_VERSION", "go1.27.0")

    assert first != find_programs()
    assert 2 == builds(machine)


def test_nothing_is_built_without_the_variable(machine, monkeypatch):
    monkeypatch.delenv(building.REQUIRED)

    with pytest.raises(NotThere, match=r"no Kubernetes was built yet: `make cluster` does"):
        find_programs()

    assert 0 == builds(machine)


def test_failed_build_has_a_reason_of_one_line_and_leaves_nothing(machine):
    go = machine / "bin" / "go"
    go.write_text(_GO.replace("echo build", "echo no space left on device >&2; exit 1; echo build"))

    with pytest.raises(NotThere, match=r"^Kubernetes cannot be built here: no space left on device$"):
        find_programs()

    assert [] == [path for path in (machine / "cache" / "opscheck" / "servers").iterdir() if path.is_dir()]


def test_old_go_is_refused_with_its_version(machine):
    (machine / "bin" / "go").write_text("#!/bin/sh\necho 'go: go.mod requires go >= 1.26.0' >&2; exit 1\n")

    with pytest.raises(NotThere, match=r"go\.mod requires go >= 1\.26\.0"):
        find_programs()


def test_existing_assets_are_used_and_missing_ones_built(machine, monkeypatch):
    assets = machine / "assets"
    assets.mkdir()
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (assets / name).touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))

    assert assets == find_programs().folder
    assert 0 == builds(machine)
    assert assets != find_programs(that_move=True).folder
    assert 1 == builds(machine)
