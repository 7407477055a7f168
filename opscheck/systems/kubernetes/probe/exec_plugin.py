"""Credentials from an exec plugin of the kubeconfig, such as `aws eks get-token`, with a time limit."""

import json
import os
import signal
import subprocess
from typing import Any

from opscheck.core.masking import mask_secrets
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_duration
from opscheck.transport.connect import late, seconds_left

_CLUSTER_FIELDS = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
_CONFIG_EXTENSION = "client.authentication.k8s.io/exec"
_LONGEST_REASON = 300


def exec_credentials(provider: Any, wanted: dict[str, Any], cluster: dict[str, Any], deadline: float) -> dict[str, Any]:
    """
    The `status` of the ExecCredential that the plugin prints.

    `provider` is the kubernetes package's ExecProvider, which reads the kubeconfig's entry; `wanted` is that entry
    itself. Its own `run` would wait forever for a plugin that hangs. Raises ProbeError.
    """
    command = str(provider.args[0])
    if wanted.get("interactiveMode") == "Always":
        raise _failed(command, "needs a terminal (interactiveMode: Always)", "use another login for unattended runs")
    output = _output(provider, _request(provider, cluster), command, str(wanted.get("installHint") or ""), deadline)
    return _status(output, provider.api_version, command)


def _request(provider: Any, cluster: dict[str, Any]) -> str:
    spec: dict[str, Any] = {"interactive": False}
    if provider.cluster is not None:
        spec["cluster"] = {name: cluster[name] for name in _CLUSTER_FIELDS if name in cluster}
        for extension in cluster.get("extensions") or ():
            if extension.get("name") == _CONFIG_EXTENSION:
                spec["cluster"]["config"] = extension.get("extension")
    return json.dumps({"apiVersion": provider.api_version, "kind": "ExecCredential", "spec": spec})


def _output(provider: Any, request: str, command: str, hint: str, deadline: float) -> str:
    waited = seconds_left(deadline)
    try:
        process = subprocess.Popen(  # noqa: S603 - the kubeconfig names it, as it does for kubectl
            provider.args,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=provider.cwd,
            env={**provider.env, "KUBERNETES_EXEC_INFO": request},
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(command, f"cannot be started: {error.strerror}", hint or "install it, or fix its path") from error
    with process:
        try:
            output, complaint = process.communicate(timeout=waited)
        except subprocess.TimeoutExpired as error:
            # The plugin's children hold the pipes open too; all are in one session.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            text = f"the exec plugin {command} of the kubeconfig printed no credentials in {format_duration(waited)}"
            raise late(text, waited, target_down=True) from error
    if process.returncode:
        lines = [line.strip() for line in complaint.splitlines() if line.strip()]
        last = mask_secrets(lines[-1])[:_LONGEST_REASON] if lines else f"exit code {process.returncode}"
        raise _failed(command, f"failed: {last}", "run it manually; a new login may be due")
    return output


def _status(output: str, api_version: str, command: str) -> dict[str, Any]:
    try:
        credential = json.loads(output)
        status = credential["status"]
        version = credential["apiVersion"]
    except (ValueError, TypeError, KeyError) as error:
        raise _failed(command, "printed no ExecCredential", "run it manually and check its output") from error
    if version != api_version:
        raise _failed(command, f"uses {version}, the kubeconfig expects {api_version}", "correct its apiVersion")
    has_certificate = isinstance(status, dict) and status.get("clientCertificateData") and status.get("clientKeyData")
    if not isinstance(status, dict) or not (status.get("token") or has_certificate):
        text = "printed neither a token nor a certificate with its key"
        raise _failed(command, text, "run it manually and check its output")
    return status


def _failed(command: str, text: str, advice: str) -> ProbeError:
    return ProbeError(
        ProblemKind.DENIED, f"the exec plugin {command} of the kubeconfig {text}", advice, target_down=True
    )
