"""Exec plugins: what they are asked, what they may answer, and that none outlasts its time."""

import json
import sys
import time
from pathlib import Path

import pytest
import trustme

from opscheck import KubernetesTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.demo.kubernetes import KubernetesApi
from opscheck.systems.kubernetes.probe import open_session
from tests.systems.kubernetes.probe.sessions import BOTH, asked, refused, tls


@pytest.fixture(name="plugin")
def _plugin(tmp_path):
    """A user entry whose exec plugin runs this Python code."""

    def plugin(code: str, **fields) -> dict:
        script = tmp_path / "plugin.py"
        script.write_text(f"import json, os, sys, time\n{code}\n")
        command = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(script)]}
        return {"token": None, "exec": command | fields}

    return plugin


def credential(token: str) -> str:
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}
    return f"print({json.dumps(status)!r})"


def test_an_exec_plugin_gives_the_token(config, api, plugin):
    assert BOTH == asked(config(user=plugin(credential(api.token))))


def test_an_exec_plugin_gets_its_environment_and_the_cluster(config, api, plugin):
    code = (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        f"assert info['spec']['cluster']['server'] == {api.url!r}\n"
        "assert info['spec']['interactive'] is False\n"
        "assert os.environ['ROLE'] == 'reader'\n"
    ) + credential(api.token)
    user = plugin(code, env=[{"name": "ROLE", "value": "reader"}], provideClusterInfo=True)

    assert BOTH == asked(config(user=user))


def test_an_exec_plugin_gives_a_certificate(world, config, authority, plugin):
    clients = trustme.CA()
    mine = clients.issue_cert("jane@example.com")
    status = {
        "clientCertificateData": mine.cert_chain_pems[0].bytes().decode(),
        "clientKeyData": mine.private_key_pem.bytes().decode(),
    }
    printed = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    with KubernetesApi(world, tls=tls(authority, client_authority=clients)) as server:
        problem = refused(config(server=server, user=plugin(f"print({json.dumps(printed)!r})")))

        # The demo's server knows tokens only; that it answers at all proves that the certificate was shown.
        assert "rejects the client (401); it authenticated with the exec plugin" in problem.text


def test_an_exec_plugin_that_fails_is_told_and_not_passed_over(config, plugin):
    user = plugin("sys.exit('the SSO session has expired, password=hunter2')")

    problem = refused(config(user=user))

    assert (ProblemKind.DENIED, True) == (problem.kind, problem.target_down)
    assert problem.text.endswith("failed: the SSO session has expired, password=***")
    assert "run it manually; a new login may be due" == problem.advice


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("print('hello')", "printed no ExecCredential"),
        ("print('[]')", "printed no ExecCredential"),
        ("print(json.dumps({'apiVersion': 'v0', 'status': {'token': 'x'}}))", "uses v0, the kubeconfig expects"),
        (
            "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'status': {}}))",
            "printed neither a token nor a certificate with its key",
        ),
    ],
)
def test_an_exec_plugin_that_gives_no_credentials_is_told(config, plugin, code, text):
    assert text in refused(config(user=plugin(code))).text


def test_an_exec_plugin_that_is_not_installed_is_told_with_its_hint(config, plugin):
    user = plugin("", command="no-such-plugin", installHint="brew install no-such-plugin")

    problem = refused(config(user=user))

    assert (
        "the exec plugin no-such-plugin of the kubeconfig cannot be started: No such file or directory" == problem.text
    )
    assert "brew install no-such-plugin" == problem.advice


def test_an_exec_plugin_that_needs_a_terminal_is_told(config, plugin):
    assert "needs a terminal" in refused(config(user=plugin("", interactiveMode="Always"))).text


def test_an_exec_plugin_that_hangs_is_ended_with_all_it_started(config, plugin, tmp_path):
    code = (
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    target = KubernetesTarget(kind="kubernetes", kubeconfig=str(config(user=plugin(code))))

    with pytest.raises(ProbeError) as caught:
        open_session(target, 2)

    assert (ProblemKind.LATE, True) == (caught.value.problem.kind, caught.value.problem.target_down)
    assert "of the kubeconfig printed no credentials in" in caught.value.problem.text
    assert _ends(int((tmp_path / "pid").read_text()))


def _ends(pid: int) -> bool:
    """A process that was killed is not gone at once."""
    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return "Z" != Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
