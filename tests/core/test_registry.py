"""What a run knows: systems, kinds of target, expectations, and who brings them."""

import subprocess
import sys
from dataclasses import replace

import pytest

from opscheck import Expectation, HttpTarget, Target
from opscheck.core.registry import BrokenSystemError, Registry
from opscheck.core.system import Client, Kind, System
from opscheck.testing import expect
from tests.registries import BUNDLED

ACME = System(
    name="acme",
    kinds={"acme": Kind(target="acme.target:AcmeTarget", probe="acme.probe")},
    expectations={"acme.queue": "acme.queue:Queue"},
)


class QueueDepth(Expectation, check="acme.queue_depth"):
    """The queue drains."""

    needs_severity = True
    target: HttpTarget


class TankTarget(Target, kind="tank"):
    """A tank."""


class TankLevel(Expectation, check="tank.level"):
    """The tank is not too full."""

    needs_severity = True
    target: TankTarget


def test_every_check_of_the_bundled_systems_is_known():
    systems = {"backup", "host", "http", "kubernetes", "pgbouncer", "postgres", "recovery", "redis", "tls"}

    assert {name.partition(".")[0] for name in BUNDLED.checks} == systems


@pytest.mark.parametrize("check", BUNDLED.checks)
def test_bundled_check_names_an_expectation_with_its_name(check):
    found = BUNDLED.expectation_type(check)

    assert found is not None
    assert found.check_name == check


@pytest.mark.parametrize("kind", BUNDLED.target_kinds)
def test_bundled_kind_of_target_has_a_probe(kind):
    found = BUNDLED.target_type(kind)

    assert found is not None
    assert found.own_kind == kind
    assert callable(BUNDLED.probe(kind).open_session)


def test_only_the_systems_that_a_policy_uses_are_imported():
    code = (
        "import sys; from opscheck.core.registry import Registry; known = Registry.bundled();"
        "known.expectation_type('redis.ping'); known.expectation_type('acme.queue');"
        "print(sorted(name for name in sys.modules if name.startswith('opscheck.systems.')))"
    )

    known = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout

    assert "opscheck.systems.redis.ping" in known
    assert "opscheck.systems.kubernetes." not in known


def test_inline_kind_cannot_be_written_in_targets():
    assert BUNDLED.is_inline("tls")
    assert "tls" not in BUNDLED.target_kinds
    assert BUNDLED.target_type("tls") is None
    assert callable(BUNDLED.probe("tls").open_session)


def test_kinds_of_a_class_include_those_that_inherit_it():
    assert BUNDLED.kinds_of((HttpTarget,)) == ["http", "prometheus"]


def test_registries_do_not_share_what_is_added():
    one, other = Registry.bundled(), Registry.bundled()

    one.add(QueueDepth)

    assert one.expectation_type("acme.queue_depth") is QueueDepth
    assert "acme.queue_depth" in one.checks
    assert other.expectation_type("acme.queue_depth") is None


def test_system_with_a_taken_name_is_rejected_with_both_owners():
    registry = Registry.bundled()

    with pytest.raises(BrokenSystemError, match=r"opscheck-copy: redis is brought by the system redis of opscheck"):
        registry.add_system(System(name="redis"), "opscheck-copy")


def test_kind_of_another_system_is_rejected():
    registry = Registry.bundled()

    with pytest.raises(BrokenSystemError, match=r"opscheck-acme: http is brought by the system http of opscheck"):
        registry.add_system(replace(ACME, kinds={"http": ACME.kinds["acme"]}), "opscheck-acme")


def test_check_outside_its_system_is_rejected():
    with pytest.raises(BrokenSystemError, match=r"the check redis.queue of the system acme must be named acme."):
        Registry().add_system(replace(ACME, expectations={"redis.queue": "acme.queue:Queue"}), "opscheck-acme")


def test_import_error_names_system_and_distribution():
    registry = Registry()
    registry.add_system(ACME, "opscheck-acme")

    with pytest.raises(BrokenSystemError, match=r"system acme of opscheck-acme: acme.queue:Queue cannot be imported"):
        registry.expectation_type("acme.queue")


def test_duplicate_expectation_name_is_rejected():
    registry = Registry.bundled()
    registry.add(QueueDepth)

    class Other(Expectation, check="acme.queue_depth"):
        """Another queue."""

    with pytest.raises(BrokenSystemError, match=r"two expectations are called acme.queue_depth"):
        registry.add(Other)


def test_kind_without_a_probe_is_rejected():
    with pytest.raises(BrokenSystemError, match=r"targets of kind tank have no probe; define open_session"):
        Registry().add(TankLevel)


def test_kind_with_a_probe_in_its_module_needs_no_descriptor(monkeypatch):
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "open_session", lambda target, timeout_s: None, raising=False)
    registry = Registry()

    registry.add(TankLevel)

    assert registry.target_type("tank") is TankTarget
    assert registry.probe("tank") is module
    assert expect(TankLevel, TankTarget(kind="tank"), severity="P1").target.own_kind == "tank"


def test_undeclared_kind_has_no_probe():
    with pytest.raises(LookupError, match=r"no probe for targets of kind tank"):
        Registry().probe("tank")


def test_missing_client_library_is_detected():
    client = Client("opscheck-acme[client]", "json", "acme_client", "acme_client.tls")
    declared = replace(ACME.kinds["acme"], client=client)
    registry = Registry([replace(ACME, kinds={"acme": declared}, clients={"acme.queue": client})])

    assert registry.client_of_kind("acme") is client
    assert registry.client_of_check("acme.queue") is client
    assert client.missing() == ["acme_client", "acme_client.tls"]
