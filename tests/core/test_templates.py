"""Remediation commands: names in, quoted values out."""

import shutil
import subprocess
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from opscheck.core.escaping import visible
from opscheck.core.expectation import Expectation
from opscheck.core.redaction import Secrets
from opscheck.core.remedy import Former, Words, fact_text
from opscheck.core.templates import (
    expectation_facts,
    known_names,
    malformed,
    placeholders,
    render,
    unknown_names,
)
from opscheck.core.units import Count, Duration, Graded, Percentage, Severity
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.testing import expect
from tests.property_tests import examples


class Sample(Expectation):
    """A field of every sort."""

    fact_names: ClassVar = {"pod": "the pod's name"}
    former_fact_names: ClassVar = {"failing_pod": Former("pod")}

    target: KubernetesTarget
    selector: str | None = None
    floor: Percentage | None = None
    min_matches: Count = 1
    exact: bool = False
    ratio: float = 2.0
    password: SecretStr = SecretStr("")
    waiting: Graded[int] | None = None


SAMPLE = expect(
    Sample,
    KubernetesTarget(kind="kubernetes", namespace="shop"),
    check="sample",
    severity="P1",
    timeout="90s",
    floor="75%",
)


def _run(command: str, shell: str = "sh", script: str | None = None) -> str:
    arguments = [shell] if script else [shell, "-c", command]
    done = subprocess.run(arguments, input=(script or "").encode(), capture_output=True, timeout=10, check=True)
    return done.stdout.decode()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.text(
    "a-\\\"'$`!{}()*?~;&|<># \n\t\0\x1b=%", max_size=12
)


@pytest.mark.parametrize(
    "template",
    [
        "printf %s {{ x }}",
        "printf %s ''{{ x }}",
        "printf %s '$HOME'''{{ x }} | sed 's/^.HOME//'",
        'true; X={{ x }}; printf %s "$X"',
        "printf %s {{ x }} # of {{ x }}; do so",
        "printf %s \\\n  {{ x }}",
    ],
)
@given(value=TEXTS)
@settings(max_examples=examples(40), deadline=None)
def test_the_shell_reads_exactly_the_value(template, value):
    command = render(template, {"x": value})
    if command is None:
        assert value.startswith("-")
        return

    assert visible(value) == _run(command)


@given(values=st.tuples(TEXTS, TEXTS))
@settings(max_examples=examples(40), deadline=None)
def test_two_values_in_one_word_stay_two_values(values):
    command = render("printf %s \"<\"{{ a }}{{ b }}'><'{{ b }}{{ a }}'>'", dict(zip("ab", values, strict=True)))
    a, b = map(visible, values)

    assert f"<{a}{b}><{b}{a}>" == _run(command)


@pytest.mark.skipif(shutil.which("bash") is None, reason="only bash and zsh have a history")
@pytest.mark.parametrize("value", ["!printf !! a'b", "a'!printf !!'b!!"])
def test_interactive_shell_does_not_expand_an_exclamation_mark(value):
    command = render("printf %s {{ x }}", {"x": value})

    assert value == _run("", "bash", script=f"set -o history -o histexpand\n{command}\n")


def test_a_value_of_plain_characters_is_left_as_it_is():
    template = "kubectl rollout restart deployment/{{ application }} -n {{namespace}}"

    assert "kubectl rollout restart deployment/web-1 -n shop" == render(
        template, {"application": "web-1", "namespace": "shop"}
    )


@pytest.mark.parametrize("value", ["-rf", "--all"])
def test_value_that_would_be_an_option_drops_the_command(value):
    assert render("rm {{ path }}", {"path": value}) is None
    assert render("rm ''{{ path }}", {"path": value}) is None


def test_dash_is_data_after_two_dashes_and_inside_a_word():
    assert "rm -- -rf" == render("rm -- {{ path }}", {"path": "-rf"})
    assert "rm ./'-r f'" == render("rm ./{{ path }}", {"path": "-r f"})


@pytest.mark.parametrize(
    "template",
    [
        "sh -c 'cat {{ x }}'",
        "kubectl exec web-1 -- bash -c \"cat '{{ x }}'\"",
        "ssh db1 cat {{ x }}",
        "psql -c \"select '{{ x }}'\"",
        "mysql --execute='select {{ x }}'",
        "psql --command={{ x }}",
        "echo $(cat {{ x }})",
        'curl "{{ x }}"',
        "curl '{{ x }}'",
        "echo a # don't {{ x }}",
    ],
)
def test_placeholder_in_quotes_or_in_program_text_is_refused(template):
    assert 1 == len(malformed(template))
    assert render(template, {"x": "pod-1"}) is None


@pytest.mark.parametrize(
    "template",
    ["watch kubectl get pod {{ x }}", "awk -v pod={{ x }} '{ print pod }'", "su postgres {{ x }}", "ssh {{ x }} date"],
)
def test_only_plain_values_are_passed_to_a_second_language(template):
    assert template.replace("{{ x }}", "pod-1") == render(template, {"x": "pod-1"})
    assert render(template, {"x": "a b"}) is None


def test_an_argument_of_its_own_reaches_an_interpreter_quoted():
    quoted = "'o'\"'\"'neil'"

    assert f"psql -U {quoted}" == render("psql -U {{ user }}", {"user": "o'neil"})
    assert f"psql -v name={quoted}" == render("psql -v name={{ user }}", {"user": "o'neil"})
    assert f"psql -h ''{quoted}" == render("psql -h ''{{ user }}", {"user": "o'neil"})


def test_a_command_whose_fact_is_missing_is_left_out():
    assert render("kubectl describe pod {{ pod }}", {"namespace": "shop"}) is None


def test_control_and_invisible_characters_of_a_value_can_be_seen():
    assert r"echo 'a\nb\x1b[31m\u202e'" == render("echo {{ x }}", {"x": "a\nb\x1b[31m\u202e"})


def test_braces_that_open_no_placeholder_are_left_alone():
    template = """kubectl patch hpa {{ name }} -p '{"spec":{"minReplicas":'{{ count }}'}}'"""

    assert """kubectl patch hpa web -p '{"spec":{"minReplicas":'3'}}'""" == render(
        template, {"name": "web", "count": "3"}
    )
    assert [] == malformed(template)


@pytest.fixture(name="secrets")
def _secrets() -> Secrets:
    secrets = Secrets()
    secrets.add("https://api.internal", "${API_URL}")
    secrets.add("it's $HOME", "${ODD}")
    secrets.add("one${two", "${NESTED}")
    return secrets


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("curl {{ url }}", "curl \"${API_URL}\"'/a$b'"),
        ("curl ''{{ url }}", "curl ''\"${API_URL}\"'/a$b'"),
    ],
)
def test_a_secret_in_a_value_is_a_reference_that_the_shell_expands(template, rendered, secrets, monkeypatch):
    command = render(template, {"url": "https://api.internal/a$b"}, secrets)
    monkeypatch.setenv("API_URL", "https://api.internal")

    assert rendered == command
    assert "https://api.internal/a$b" == _run(command.replace("curl", "printf %s"))


def test_secret_changed_by_quoting_is_found(secrets):
    assert 'echo "${ODD}"' == render("echo {{ x }}", {"x": "it's $HOME"}, secrets)


def test_the_quotes_of_a_secret_in_the_template_itself_do_not_count(secrets):
    secrets.add('pass"word', "${PASSWORD}")

    assert "login \"${PASSWORD}\" ';reboot;'" == render('login "pass"word" {{ x }}', {"x": ";reboot;"}, secrets)


def test_secret_with_a_reference_inside_is_found(secrets):
    assert "two" not in render("echo {{ x }}", {"x": "one${two"}, secrets)


def test_a_reference_that_the_target_wrote_is_not_expanded(secrets):
    assert "echo '${API_URL}'" == render("echo {{ x }}", {"x": "${API_URL}"}, secrets)
    assert "echo '${API_URL} '\"${API_URL}\"" == render(
        "echo {{ x }}", {"x": "${API_URL} https://api.internal"}, secrets
    )


def test_placeholders_are_named_once_in_their_order():
    assert ["b", "a"] == placeholders("x {{ b }} {{a}} {{  b  }}")


@pytest.mark.parametrize(
    "command", ["echo {{ a | b }}", "echo {{ }}", "echo {{", "echo {{ a", "echo {{ a.b }}", "{{ 1 }}"]
)
def test_placeholder_of_several_names_is_a_fault(command):
    (fault,) = malformed(command)

    assert "a placeholder is one name, such as {{ subject }}" in fault
    assert render(command, {"a": "1", "b": "1"}) is None


def test_braces_themselves_can_be_written():
    command = "docker inspect -f '{''{.State.Status}}' {{ container }}"

    assert [] == malformed(command)
    assert "docker inspect -f '{''{.State.Status}}' web" == render(command, {"container": "web"})


def test_a_placeholder_that_would_be_the_command_is_a_fault():
    assert ["`{{ tool }}` would be the program that runs; only arguments may come from a placeholder"] == malformed(
        "sudo {{ tool }} restart"
    )


def test_a_placeholder_that_touches_a_dollar_is_a_fault():
    assert ["`{{ x }}` touches `$`, so that both are one word to the shell; write a variable as ${NAME}"] == malformed(
        "echo ${{ x }}"
    )


def test_unknown_name_is_reported_with_the_most_similar_one():
    assert [("namespce", "namespace"), ("zzz", None)] == unknown_names("a {{ namespce }} {{ zzz }} {{ pod }}", SAMPLE)


def test_known_names_of_an_expectation():
    own = {"selector", "floor", "min_matches", "exact", "ratio", "pod", "failing_pod"}
    common = {"check", "owner", "runbook", "skip", "timeout"}
    always = {"id", "title", "environment", "severity", "subject", "observed", "expected"}

    assert own | common | always | {"namespace", "context", "context_option"} == set(known_names(SAMPLE))


def test_a_fact_is_written_as_the_policy_writes_it():
    facts = expectation_facts(SAMPLE)

    assert ("75%", Duration(90), "1", "false", "2", "P1") == (
        facts["floor"],
        Duration.parse(facts["timeout"]),
        facts["min_matches"],
        facts["exact"],
        facts["ratio"],
        facts["severity"],
    )
    assert Severity.P1 == SAMPLE.severity
    assert {"selector", "context", "password", "waiting", "target"}.isdisjoint(facts)


@pytest.mark.parametrize(
    ("template", "words", "rendered"),
    [
        ("kubectl {{ o }} get pods", ("--context", "my prod"), "kubectl --context 'my prod' get pods"),
        ("kubectl {{ o }} get pods", (), "kubectl get pods"),
        ("kubectl get pods {{ o }}", (), "kubectl get pods"),
        ("kubectl get pods {{ o }}; date", (), "kubectl get pods; date"),
        ("kubectl {{ o }} {{ o }} get", ("-n", "a"), "kubectl -n a -n a get"),
        ("kubectl {{ o }} get", ("$(attack)", "", "a'b"), "kubectl '$(attack)' '' 'a'\"'\"'b' get"),
    ],
)
def test_several_words_are_quoted_each_and_none_vanish(template, words, rendered):
    assert rendered == render(template, {"o": Words(words)})


@pytest.mark.parametrize("template", ["kubectl -n={{ o }} get", "kubectl {{ o }}-a get", "kubectl {{ o }}{{ o }}"])
@pytest.mark.parametrize("words", [(), ("a",), ("a", "b")])
def test_several_words_inside_another_word_leave_the_command_out(template, words):
    assert render(template, {"o": Words(words)}) is None


def test_secret_among_several_words_is_a_reference(secrets):
    assert 'curl --url "${API_URL}"' == render("curl {{ o }}", {"o": Words(("--url", "https://api.internal"))}, secrets)


@pytest.mark.parametrize(
    ("value", "text"), [("a b", "a b"), (3, "3"), (2.0, "2"), (2.5, "2.5"), (True, "true"), (("-n", "a b"), "-n 'a b'")]
)
def test_fact_is_recorded_as_text(value, text):
    assert text == fact_text(value)
