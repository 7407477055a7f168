"""The targets of the Makefile run every test together; skips are failures where none may be skipped."""

import json
import re
from pathlib import Path

import pytest

from tests.servers.stores import WHEELS_POSTGRES
from tests.tiers import AGAIN, COLLECTED, NO_SKIPS, TIERS

ROOT = Path(__file__).parents[1]


def test_every_collected_test_is_in_a_tier(request):
    collected = request.config.stash[COLLECTED]

    assert request.node.nodeid in collected
    assert {name for name, tiers in collected.items() if not tiers} == set()
    assert {tier for tiers in collected.values() for tier in tiers} <= set(TIERS)


def test_two_tiers_only_for_tests_on_several_versions(request):
    several = [tiers for tiers in request.config.stash[COLLECTED].values() if len(tiers) > 1]

    assert set(several) <= {frozenset({"basic", "stores"}), frozenset({"manners", "stores"})}


@pytest.mark.parametrize(("tier", "versions"), [("basic", 2), ("stores", 1)])
def test_version_of_the_wheel_is_in_the_basic_tier_only(pytester, tier, versions):
    pytester.makepyfile(f"""
        import pytest

        @pytest.fixture(params=[13, {WHEELS_POSTGRES}])
        def installation(request):
            return request.param

        def test_server(installation):
            assert "{tier}" == "basic" or installation == 13
    """)

    result = pytester.runpytest_inprocess("-p", "tests.tiers", "-m", tier)

    result.assert_outcomes(passed=versions, deselected=2 - versions)


def test_makefile_and_ci_run_each_tier():
    makefile = (ROOT / "Makefile").read_text()
    rules = dict(re.findall(r"^([a-z-]+): .*\n((?:\t.*\n)+)", makefile, re.MULTILINE))
    steps = re.findall(r"^(?:tier|step make) ([a-z-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)

    selected = {word for step in steps for word in re.findall(r"-m ([a-z]+)", rules[step])}

    assert selected - {"pytest", "tests"} == set(TIERS)


@pytest.mark.parametrize(
    ("forbidden", "outcomes"), [("", {"skipped": 2}), ("1", {"failed": 1, "errors": 1})], ids=["allowed", "forbidden"]
)
def test_skip_is_a_failure_where_none_is_allowed(pytester, monkeypatch, forbidden, outcomes):
    monkeypatch.setenv(NO_SKIPS, forbidden)
    pytester.makepyfile(
        test_one="import pytest\ndef test_one(): pytest.skip('no program')",
        test_two="import pytest\n@pytest.mark.skipif(True, reason='no program')\ndef test_two(): pass",
    )

    result = pytester.runpytest_inprocess("-p", "tests.tiers")

    result.assert_outcomes(**outcomes)


def test_skipped_module_is_a_failure_where_none_is_allowed(pytester, monkeypatch):
    monkeypatch.setenv(NO_SKIPS, "1")
    pytester.makepyfile("import pytest\npytest.skip('no program', allow_module_level=True)")

    assert pytester.runpytest_inprocess("-p", "tests.tiers").ret == pytest.ExitCode.INTERRUPTED


def test_feature_missing_in_the_version_deselects_its_test(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.fixture(params=[13, 18])
        def installation(request):
            return request.param

        @pytest.mark.since_postgres(14)
        def test_feature(installation):
            assert installation >= 14
    """)

    pytester.runpytest_inprocess("-p", "tests.tiers").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize(
    ("source", "again"),
    [
        ("def test_one(): assert False\ndef test_two(): pass", ["test_it.py::test_one"]),
        ("def test_one(): pass", None),
        ("import pytest\n@pytest.mark.parametrize('n', range(11))\ndef test_one(n): assert False", None),
        ("import no_such_module", None),
        ("import pytest\ndef test_one(): assert False\ndef test_two(): pytest.exit('crash', 3)", None),
    ],
    ids=["one-test", "none", "many", "not-collected", "crash"],
)
def test_only_a_few_failed_tests_may_run_again(pytester, source, again):
    pytester.makepyfile(test_it=source)

    pytester.runpytest_inprocess("-p", "tests.tiers", "-o", "cache_dir=cache")
    listed = pytester.path / "cache" / "v" / AGAIN

    assert (json.loads(listed.read_text()) if listed.exists() else None) == again
