"""JUnit files, read back as others read them."""

import xml.etree.ElementTree as ET

import junitparser
import msgspec
import pytest
import sample_runs as sample

from opscheck.core.record import Counts, Measurement
from opscheck.reports import junit
from opscheck.reports.properties import properties
from opscheck.reports.read import ReportError


@pytest.fixture(name="everything", scope="module")
def _everything():
    return junitparser.JUnitXml.fromstring(junit.document([sample.EVERYTHING]).encode())


def _cases(document):
    return {case.name: case for suite in document for case in suite}


def _values(case):
    return {one.name: one.value for one in case.child(junitparser.Properties)}


def test_each_environment_is_a_suite_and_each_expectation_a_case(everything):
    (suite,) = everything

    assert "production" == suite.name
    assert [one.id for one in sample.EVERYTHING.results] == [case.name for case in suite]
    assert (12, 3, 3, 3) == (suite.tests, suite.failures, suite.errors, suite.skipped)


def test_a_violation_at_the_gate_is_a_failure(everything):
    (failure,) = _cases(everything)["connections"].result

    assert isinstance(failure, junitparser.Failure)
    assert "P0 shop: connections used 95.9% (93 of 97), expected <= 90%" == failure.message
    assert "P0" == failure.type
    assert "    kubectl rollout restart deployment/integration-worker -n integration-deployment\n" in failure.text


def test_unknown_at_the_gate_is_an_error(everything):
    (error,) = _cases(everything)["replica-lag"].result

    assert isinstance(error, junitparser.Error)
    assert "blocked by replica-connections: no answer from 10.0.7.12:5432 in 5 s" == error.message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "errors",
            "advisory P3 violated: app=integration-deployment: error lines in 24h 41, expected <= 10",
        ),
        ("api-certificate", "waived until 2026-03-09 by maria: renewal booked, CHG-1234"),
        ("canary-pods", "does not apply: no canary is deployed in this environment"),
    ],
)
def test_result_below_the_gate_is_skipped_with_its_reason(everything, name, message):
    (skipped,) = _cases(everything)[name].result

    assert isinstance(skipped, junitparser.Skipped)
    assert message == skipped.message


def test_passed_result_is_a_case_with_its_measurements(everything):
    case = _cases(everything)["node-usage"]

    assert [] == case.result
    assert "81.5 %, limit 85, margin 3.5" == _values(case)["opscheck.measurement.memory.node-2"]


def test_every_case_carries_the_result_as_properties(everything):
    values = _values(_cases(everything)["connections"])

    assert dict(properties(sample.CONNECTIONS)) == values
    assert {
        "opscheck.id": "connections",
        "opscheck.check": "postgres.connections",
        "opscheck.verdict": "violated",
        "opscheck.severity": "P0",
        "opscheck.advisory": "false",
        "opscheck.target": "database",
        "opscheck.tags": "daily,gate,resource-exhaustion",
        "opscheck.owner": "data-platform",
        "opscheck.respond_by": "2026-03-01T03:27:05Z",
        "opscheck.policy": "policies/production.yaml:88",
        "opscheck.measurement.connections used.shop": "95.876 %, limit 90, margin -5.876",
        "opscheck.finding.1.subject": "shop",
        "opscheck.finding.1.command.1": sample.CONNECTIONS.findings[0].remediation.commands[0],
    }.items() <= values.items()


def test_properties_are_plain_builtins():
    for run in (sample.EVERYTHING, sample.HOSTILE):
        for result in run.results:
            assert {str} == {type(part) for pair in properties(result) for part in pair}


def test_properties_contain_only_valid_xml_characters():
    hostile = msgspec.structs.replace(
        sample.HOSTILE.results[0], summary="a\x00b\ufffe\ud800\x1b", title="<&\"'>]]>", owner="注文\n\t担当"
    )
    values = dict(properties(hostile))
    read = ET.fromstring(junit.document([sample.run_of(hostile, exit_code=1)]))  # noqa: S314 - it is our own

    assert r"a\x00b\ufffe\ud800\x1b" == values["opscheck.summary"]
    assert values == {one.get("name"): one.get("value") for one in read.iterfind(".//testcase//property")}
    assert "<&\"'>]]>" == values["opscheck.title"]


def test_suite_properties_contain_the_exit_code(everything):
    (suite,) = everything

    assert {
        "opscheck.policy": "policies/production.yaml",
        "opscheck.gate.fail_on": "P2",
        "opscheck.gate.open": "false",
        "opscheck.gate.exit_code": "1",
        "opscheck.declared": "12",
    }.items() <= {one.name: one.value for one in suite.properties()}.items()


def test_several_environments_are_several_suites_and_shards_are_one():
    staging = msgspec.structs.replace(sample.ALL_WELL, environment="staging")
    shards = (sample.run_of(sample.PASSED[0]), sample.run_of(*sample.PASSED[1:]))
    document = junitparser.JUnitXml.fromstring(junit.document([shards[0], staging, shards[1]]).encode())

    assert [("production", 3), ("staging", 3)] == [(suite.name, suite.tests) for suite in document]
    assert {"production.http.response", "staging.http.response"} == {
        case.classname for suite in document for case in suite if case.name == "api-health"
    }


def test_an_expectation_in_two_shards_of_one_environment_is_an_error():
    with pytest.raises(ReportError, match="api-health is in two records of production"):
        junit.document([sample.ALL_WELL, sample.run_of(sample.PASSED[0])])


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (sample.NOTHING, "exit 21: nothing was checked"),
        (
            sample.run_of(*sample.PASSED, exit_code=21, counts=Counts(declared=5, reported=3, passed=3)),
            "exit 21: 2 of 5 expectations have no verdict; 5 expectations declared, 3 reported",
        ),
        (sample.run_of(*sample.PASSED, exit_code=2), "exit 2: the run was interrupted"),
        (
            sample.run_of(sample.PODS, exit_code=1, counts=Counts(declared=2, reported=1, violated=1)),
            "exit 1: violated: pods (P0); 2 expectations declared, 1 reported",
        ),
    ],
)
def test_a_run_that_is_not_complete_is_never_green(run, message):
    document = junitparser.JUnitXml.fromstring(junit.document([run]).encode())
    (case,) = [case for suite in document for case in suite if case.name.startswith("run of ")]

    assert 1 == document.errors
    assert message == case.result[0].message


def test_an_open_gate_has_no_such_case():
    document = junitparser.JUnitXml.fromstring(junit.document([sample.ALL_WELL]).encode())

    assert [one.id for one in sample.PASSED] == [case.name for suite in document for case in suite]


# What Jenkins' xsd for such files (jenkins-junit.xsd) allows: attributes, and children in this order. It says nothing
# of properties inside a case; Jenkins' junit plugin reads them (`keepProperties`), and pytest writes them there too.
ALLOWED = {
    "testsuites": ({"name", "time", "tests", "failures", "disabled", "errors"}, ["testsuite"]),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id"},
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "testcase": (
        {"name", "assertions", "time", "classname", "status"},
        ["properties", "skipped", "error", "failure", "system-out", "system-err"],
    ),
    "properties": (set(), ["property"]),
    "property": ({"name", "value"}, []),
    "failure": ({"type", "message"}, []),
    "error": ({"type", "message"}, []),
    "skipped": ({"type", "message"}, []),
}


@pytest.mark.parametrize("run", [sample.EVERYTHING, sample.HOSTILE, sample.NOTHING])
def test_jenkins_schema_allows_every_element(run):
    for element in ET.fromstring(junit.document([run])).iter():  # noqa: S314 - it is our own
        attributes, children = ALLOWED[element.tag]
        places = [children.index(child.tag) for child in element]

        assert set(element.keys()) <= attributes
        assert places == sorted(places)


def test_gitlab_finds_its_text_in_every_element():
    # GitLab drops the attributes of failure, error and skipped, and shows their text.
    read = ET.fromstring(junit.document([sample.EVERYTHING]))  # noqa: S314 - it is our own
    outcomes = [child for case in read.iter("testcase") for child in case if child.tag != "properties"]

    assert 9 == len(outcomes)
    assert all(outcome.text and outcome.text.strip() for outcome in outcomes)


def test_a_time_is_a_decimal_number_of_seconds():
    quick = msgspec.structs.replace(sample.PASSED[0], duration_s=0.00002)
    (case,) = ET.fromstring(junit.document([sample.run_of(quick)])).iter("testcase")  # noqa: S314 - it is our own
    (slow,) = [
        one
        for one in _cases(junitparser.JUnitXml.fromstring(junit.document([sample.EVERYTHING]).encode())).values()
        if one.name == "replica-connections"
    ]

    assert "e" not in (case.get("time") or "")
    assert 5.0 == slow.time


def test_a_measurement_without_subject_limit_and_unit_is_a_number():
    counted = msgspec.structs.replace(sample.PASSED[2], measurements=(Measurement(name="files", value=12.0),))

    assert ("opscheck.measurement.files", "12") in properties(counted)
