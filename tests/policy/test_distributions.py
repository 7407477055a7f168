"""The distributions that a policy `uses`: installed ones are made of a folder on the path, without pip."""

import itertools
from collections.abc import Callable

import pytest

from opscheck import __version__
from opscheck.cli import exit_code
from opscheck.core.registry import BrokenSystemError
from opscheck.gathering.gatherer import Gatherer
from opscheck.gathering.plan import Asked
from opscheck.policy.draft import read_policy
from opscheck.testing.servers import silent
from tests.policy.conftest import TODAY

Install = Callable[..., None]

POLICY = """\
version: 1
environment: test
uses: [{uses}]
targets:
  jobs: {{kind: acme, server: jobs.example.com}}
expectations:
  - {{id: queue, check: acme.queue, target: jobs, severity: P1}}
"""
SYSTEM = """
from opscheck import Kind, System

SYSTEM = System(
    name="acme",
    kinds={{"acme": Kind(target="{module}.target:AcmeTarget", probe="{module}.probe")}},
    expectations={{"acme.queue": "{module}.target:Queue"}},
)
"""
TARGET = '''
from opscheck import Expectation, Target


class AcmeTarget(Target, kind="acme"):
    """A queue server."""

    server: str
    """Where it is."""


class Queue(Expectation, check="acme.queue"):
    """The queue drains."""

    target: AcmeTarget
    """The server."""
'''
_NUMBERS = itertools.count()


@pytest.fixture(name="install")
def _install(tmp_path, monkeypatch) -> Install:
    """Put a distribution on the path, with the modules of a system, as pip would."""

    def install(  # noqa: PLR0913, PLR0917 - what a distribution is made of, by name
        name: str = "opscheck-acme",
        version: str = "0.3",
        descriptor: str = SYSTEM,
        target: str = TARGET,
        requires: str = f"opscheck>={__version__}",
        entry_point: str = "acme = {module}:SYSTEM",
    ) -> None:
        module = f"acme_of_test_{next(_NUMBERS)}"  # a name of its own: modules stay imported
        site = tmp_path / module
        (site / module).mkdir(parents=True)
        (site / module / "__init__.py").write_text(descriptor.format(module=module))
        (site / module / "target.py").write_text(target)
        metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requires}\n"
        )
        points = f"[opscheck.systems]\n{entry_point}\n" if entry_point else ""
        (metadata / "entry_points.txt").write_text(points.format(module=module))
        monkeypatch.syspath_prepend(str(site))

    return install


def policy(uses: str = "opscheck-acme") -> str:
    return POLICY.format(uses=uses)


def test_system_of_a_used_distribution_is_known(install, load):
    install()

    loaded = load(policy("opscheck-acme>=0.1"))

    assert [one.id for one in loaded.expectations] == ["queue"]
    assert [(one.name, one.version) for one in loaded.uses] == [("opscheck-acme", "0.3")]


def test_name_of_a_distribution_is_normalised(install, load):
    install()

    assert [one.name for one in load(policy("Opscheck_Acme")).uses] == ["opscheck-acme"]


def test_policy_may_require_a_version_of_opscheck(install, load):
    install()

    uses = load(policy(f"opscheck-acme, opscheck>={__version__}")).uses

    assert [one.name for one in uses] == ["opscheck-acme", "opscheck"]


@pytest.mark.parametrize(
    ("uses", "told"),
    [
        ("opscheck-other>=2", "opscheck-other is not installed; pip install 'opscheck-other>=2'"),
        ("opscheck-acme>=1", "opscheck-acme 0.3 is installed; pip install 'opscheck-acme>=1'"),
        ("'not a name'", "expected a distribution such as `opscheck-memcached>=0.1`"),
        ("opscheck>=99", f"opscheck {__version__} is installed; pip install 'opscheck>=99'"),
        ("pytest", "pytest has no system: its metadata has no entry point in the group opscheck.systems"),
    ],
)
def test_unmet_requirement_is_a_policy_error(install, refusal, uses, told):
    install()

    assert f"policy.yaml:3:8: uses[0]: {told}" in refusal(policy(uses)).splitlines()[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"requires": "opscheck>=99.1"},
            f"opscheck-acme 0.3 needs opscheck>=99.1, and this is opscheck {__version__}",
        ),
        (
            {"descriptor": "import no_such_module"},
            "opscheck-acme: its system acme cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        (
            {"descriptor": "raise SystemError('x')"},
            "opscheck-acme: its system acme cannot be imported: SystemError: x",
        ),
        (
            {"descriptor": "SYSTEM = dict()"},
            "opscheck-acme: its entry point acme must name a System of that name, got dict",
        ),
        (
            {"entry_point": "other = {module}:SYSTEM"},
            "opscheck-acme: its entry point other must name a System of that name, got one named acme",
        ),
        (
            {"entry_point": ""},
            "opscheck-acme has no system: its metadata has no entry point in the group opscheck.systems",
        ),
        (
            {"entry_point": "acme = {module}:NOTHING"},
            "opscheck-acme: its system acme cannot be imported: AttributeError",
        ),
    ],
    ids=lambda value: next(iter(value.items()))[1].partition(" ")[0] if isinstance(value, dict) else "",
)
def test_system_that_cannot_be_used_is_a_policy_error(install, refusal, options, told):
    install(**options)

    assert refusal(policy()).splitlines()[0].startswith(f"policy.yaml:3:8: uses[0]: {told}")


@pytest.mark.parametrize("requires", ["opscheck>=99; extra == 'new'", "not a requirement", "opscheck-core>=99"])
def test_requirement_that_does_not_concern_this_opscheck_is_ignored(install, load, requires):
    install(requires=requires)

    assert load(policy()).uses


def test_two_owners_of_one_system_are_both_named(install, refusal):
    install()
    install(name="opscheck-acme-too")

    told = refusal(policy("opscheck-acme, opscheck-acme-too")).splitlines()[0]

    assert "uses[1]: opscheck-acme-too: acme is brought by the system acme of opscheck-acme already" in told


def test_owner_that_is_not_used_does_not_matter(install, load):
    install()
    install(name="opscheck-acme-too")

    assert [one.name for one in load(policy("opscheck-acme-too")).uses] == ["opscheck-acme-too"]


def test_installed_system_changes_nothing_until_it_is_used(install, refusal):
    install()

    told = refusal(policy(""))

    owner = "the installed distribution opscheck-acme brings"
    assert f'targets.jobs.kind: unknown kind of target, got "acme"; {owner} targets of kind acme' in told
    assert f'expectations[queue].check: unknown check, got "acme.queue"; {owner} acme; add it' in told
    assert "`uses: [opscheck-acme]`" in told


def test_broken_system_is_no_hint(install, refusal):
    install(descriptor="import no_such_module")

    assert 'unknown kind of target, got "acme"; there are folder' in refusal(policy(""))


def test_class_that_cannot_be_imported_names_its_distribution(install, load):
    install(target="import no_such_module")

    with pytest.raises(
        BrokenSystemError, match=r"the system acme of opscheck-acme: acme_of_test_\d+.target:\w+ cannot be imported"
    ):
        load(policy())


def test_probe_that_cannot_be_imported_names_its_distribution(install, write):
    install()

    registry = read_policy(write(policy()), environ={}).registry

    with pytest.raises(BrokenSystemError, match=r"the system acme of opscheck-acme: acme_of_test_\d+.probe cannot be"):
        registry.probe("acme")


@pytest.mark.parametrize("command", ["validate", "list", "permissions"])
def test_command_on_a_broken_system_ends_with_4(install, write, capsys, command):
    install(descriptor="import no_such_module")

    assert exit_code([command, str(write(policy()))]) == 4

    told = capsys.readouterr().err
    assert "opscheck-acme: its system acme cannot be imported" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("broken", [{"target": "import no_such_module"}, {"requires": "opscheck>=99"}])
def test_run_with_a_broken_system_ends_with_4(install, write, capsys, broken):
    install(**broken)
    path = write(policy())
    own = write("def test_nothing(): pass\n", "checks/test_own.py").parent

    assert exit_code(["run", "-p", str(path), str(own)]) == 4

    assert "opscheck-acme" in capsys.readouterr().err


def test_schema_includes_a_used_system(install, capsys):
    install()

    assert exit_code(["schema"]) == 0
    assert "acme.queue" not in capsys.readouterr().out
    assert exit_code(["schema", "--uses", "opscheck-acme>=0.1"]) == 0
    assert "acme.queue" in capsys.readouterr().out
    assert exit_code(["schema", "--uses", "opscheck-acme>=1"]) == 4
    assert "opscheck-acme 0.3 is installed" in capsys.readouterr().err


READER = """
from opscheck import System

SYSTEM = System(
    name="acme",
    expectations={{"acme.agent": "{module}.target:Agent"}},
    readers={{"acme.agent": "{module}.target:read_agent"}},
)
"""
AGENT = '''
from dataclasses import dataclass

from opscheck import Expectation, HttpTarget, Query


@dataclass(frozen=True)
class ReadAgent(Query[str], name="acme.agent"):
    """Which agent answers."""


class Agent(Expectation, check="acme.agent"):
    """The agent is there."""

    target: HttpTarget

    def queries(self):
        """One."""
        return [ReadAgent(self.target.name)]


def read_agent(session, query, timeout_s):
    """What the session is, and whether there is time."""
    return f"{type(session).__name__} within {timeout_s:g} s"
'''


def test_other_distribution_adds_a_query_to_an_existing_target(install, write):
    install(descriptor=READER, target=AGENT)
    text = """\
    version: 1
    environment: test
    uses: [opscheck-acme]
    targets: {api: {kind: http, base_url: "${API_URL}"}}
    expectations: [{id: agent, check: acme.agent, target: api, severity: P1}]
    """
    with silent() as port:
        draft = read_policy(write(text), environ={"API_URL": f"http://127.0.0.1:{port}"})
        (expectation,) = draft.finish(today=TODAY).expectations
        (query,) = expectation.queries()

        gatherer = Gatherer({"api": expectation.target}, registry=draft.registry)
        observed = gatherer.gather([Asked(query, 2.0)])
        gatherer.close()

    assert observed[query].answer == "HttpSession within 2 s"
