"""`${NAME}` in policies: where it counts, what it becomes, and how it stays secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.core.redaction import Secrets
from opscheck.policy.variables import Variables

ENVIRON = {"HOST": "db.example.com", "TOKEN": "open-sesame", "EMPTY": ""}


def expanded(text, *, public=(), keep_unset=False, environ=ENVIRON):
    return Variables(environ, Secrets(), public, keep_unset=keep_unset).expand(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${HOST}", "db.example.com"),
        ("postgres://${HOST}:5432/${NAME:-app}", "postgres://db.example.com:5432/app"),
        ("${HOST:-localhost}", "db.example.com"),
        ("${NAME:-}", ""),
        ("${EMPTY:-full}", "full"),
        ("${NAME:-kubectl://postgres-0?namespace=shop}", "kubectl://postgres-0?namespace=shop"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$HOST and $(HOST) and 5$", "$HOST and $(HOST) and 5$"),
        (r"\d+$", r"\d+$"),
    ],
)
def test_references_are_replaced_and_nothing_else(text, value):
    assert value == expanded(text).value
    assert not expanded(text).faults


@pytest.mark.parametrize(
    "text", ["${1ST}", "${NAME", "${NAME-default}", "${NAME:?no}", "${}", "${A:-${B}}", "${ HOST }"]
)
def test_malformed_reference_is_an_error(text):
    assert [rule for rule, _ in expanded(text).faults] == ["expected ${NAME} or ${NAME:-default}"]


def test_each_variable_that_is_not_set_is_a_fault():
    assert [rule for rule, _ in expanded("${USER_NAME}@${PLACE}").faults] == [
        "the variable USER_NAME is not set",
        "the variable PLACE is not set",
    ]


def test_empty_variable_counts_as_unset_without_a_default():
    ((rule, hint),) = expanded("${EMPTY}").faults

    assert rule == "the variable EMPTY is empty"
    assert "${EMPTY:-}" in hint


def test_a_variable_that_is_set_under_another_spelling_is_named():
    ((_, hint),) = expanded("${TOKNE}").faults

    assert hint == "did you mean TOKEN?"


def test_unset_variable_is_kept_without_a_run():
    kept = expanded("${HOST}/${NAME}", keep_unset=True)

    assert kept.value == "db.example.com/${NAME}"
    assert kept.unset == ["NAME"]
    assert not kept.faults


def test_a_secret_is_shown_as_its_reference_and_a_public_value_as_itself():
    text = "https://${HOST}/?token=${TOKEN}&page=${PAGE:-1}"

    assert expanded(text).written == "https://${HOST}/?token=${TOKEN}&page=1"
    assert expanded(text, public=["HOST"]).written == "https://db.example.com/?token=${TOKEN}&page=1"


@given(st.text())
def test_any_text_can_be_expanded(text):
    assert expanded(text).value == text or "${" in text


# -- in a policy -----------------------------------------------------------------------------------------------------

POLICY = """
    version: 1
    environment: "${STAGE}"
    public_variables: [STAGE]
    targets:
      api: {kind: http, base_url: "https://${HOST}", headers: {Authorization: "Bearer ${TOKEN}"}}
    expectations:
      - id: api-health
        check: http.response
        target: api
        path: "/${REGION:-eu}/health"
        severity: P0
        remediation: {commands: ["curl -H \\"Authorization: $${TOKEN} ${TOKEN}\\" ${UNKNOWN}"]}
"""


def test_remediation_is_left_to_the_shell(load):
    policy = load(POLICY, {**ENVIRON, "STAGE": "production"})

    assert policy.expectations[0].remediation.commands == ('curl -H "Authorization: $${TOKEN} ${TOKEN}" ${UNKNOWN}',)


def test_environment_values_are_secret_everywhere(load):
    policy = load(POLICY, {**ENVIRON, "STAGE": "production"})

    assert policy.environment == "production"
    assert policy.expectations[0].path == "/eu/health"
    assert policy.secrets.clean("production open-sesame db.example.com eu") == "production ${TOKEN} ${HOST} eu"


def test_a_policy_can_be_read_where_nothing_is_set(load):
    policy = load(POLICY, keep_unset=True)

    assert policy.environment == "${STAGE}"
    assert policy.targets["api"].base_url.get_secret_value() == "https://${HOST}"


def test_unset_variable_of_a_number_cannot_be_validated(refusal):
    text = POLICY + '        timeout: "${TIMEOUT}"\n'

    assert 'got "${TIMEOUT}", and TIMEOUT is not set' in refusal(text, {}, keep_unset=True)


def test_a_wrong_value_from_the_environment_is_not_shown(refusal):
    text = POLICY + '        timeout: "${TIMEOUT}"\n'
    told = refusal(text, {**ENVIRON, "STAGE": "production", "TIMEOUT": "open-sesame"})

    assert "expectations[api-health].timeout: expected a duration with its unit" in told
    assert 'got "${TIMEOUT}"' in told
    assert "open-sesame" not in told
