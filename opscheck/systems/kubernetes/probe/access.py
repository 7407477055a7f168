"""The address of a cluster and the client's credentials: kubeconfig or service account."""

import base64
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import yaml
from kubernetes import config as kubernetes_config
from kubernetes.client import Configuration
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from opscheck.core.masking import mask_secrets
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.kubernetes.probe.exec_plugin import exec_credentials
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.transport.connect import host_and_port
from opscheck.transport.proxies import environment_proxy

# The kubernetes package raises different errors on an invalid kubeconfig.
_NOT_A_KUBECONFIG = (ConfigException, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError)
# Fields with the name of a file; with the suffix `-data`, its content.
_IN_FILES = ("certificate-authority", "client-certificate", "client-key")
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Access:
    """The way to an API server, and the identity of requests."""

    server: str
    """Scheme, host, port and the path prefix; no slash at the end."""
    headers: Headers
    """Authentication and impersonation."""
    identity: str
    """The kind of authentication in words; never the credential."""
    advice: str
    """The advice for a server that rejects it."""
    tls: ssl.SSLContext | None
    tls_server_name: str | None = None
    proxy: str | None = None
    context: str | None = None
    """The kubeconfig's name for it; None in a pod."""
    namespace: str = "default"
    """The namespace of the context, or of the pod."""


def find_access(target: KubernetesTarget, deadline: float) -> Access:
    """The access that kubectl would use: kubeconfig, else the pod's service account. Raises ProbeError."""
    place = _kubeconfig_place(target)
    access = _from_service_account() if place is None else _from_kubeconfig(target, place, deadline)
    if target.server is not None and _authority(access.server) != _authority(target.server):
        # The name of a context is local: `prod` may point to a laptop.
        text = f"the policy pins the API server {target.server}, but the context uses {access.server}"
        raise _misconfigured(text, "use the kubeconfig of that cluster, or correct the target's `server`")
    return access


def _authority(server: str) -> str:
    return host_and_port(server if "://" in server else f"https://{server}")


def _kubeconfig_place(target: KubernetesTarget) -> str | None:
    # The package read KUBECONFIG once, when it was imported.
    named = target.kubeconfig or os.environ.get("KUBECONFIG")
    if not named:
        usual = Path("~/.kube/config").expanduser()
        if usual.is_file():
            return str(usual)
        if target.context is None:
            return None
        raise _misconfigured(f"no kubeconfig found for the context {target.context}", "set KUBECONFIG")
    if not any(Path(path).expanduser().is_file() for path in named.split(os.pathsep) if path):
        raise _misconfigured(f"the kubeconfig {named} does not exist", "correct KUBECONFIG, or write the file")
    return named


def _from_service_account() -> Access:
    if not os.environ.get("KUBERNETES_SERVICE_HOST"):
        text = "no kubeconfig found, and not running in a pod with a service account"
        raise _misconfigured(text, "set KUBECONFIG, write ~/.kube/config, or name the target's `kubeconfig`")
    configuration = Configuration()
    try:
        kubernetes_config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)
    except (ConfigException, OSError) as error:
        raise _misconfigured(f"the pod's service account cannot be used: {error}", "mount its token") from error
    advice = "check that the pod's token is mounted and current, and that its service account exists"
    access = _access(configuration, {}, [], "the token of the pod's service account", advice)
    return replace(access, namespace=_namespace_of_pod())


def _namespace_of_pod() -> str:
    try:
        return (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _from_kubeconfig(target: KubernetesTarget, place: str, deadline: float) -> Access:
    configuration = Configuration()
    try:
        merged = KubeConfigMerger(place).config
        if merged is None:
            raise ConfigException("it is empty")
        loader = KubeConfigLoader(merged, active_context=_context(merged.value, target, place), config_base_path=None)
        context = loader.current_context["context"]
        cluster = _entry(merged, "clusters", context["cluster"])
        user = _entry(merged, "users", context.get("user"))
        identity, advice = _identity(user, context.get("user"))
        _replace_exec(user, cluster, deadline)
        acting, impersonation = _impersonation(user.value if user else {}, place)
        with _data_in_files(cluster, user):
            loader.load_and_set(configuration)
            access = _access(configuration, cluster.value, impersonation, identity + acting, advice)
    except OSError as error:
        raise _misconfigured(f"the kubeconfig {place} cannot be read: {error.strerror}", "check its rights") from error
    except _NOT_A_KUBECONFIG as error:
        raise _misconfigured(f"the kubeconfig {place} cannot be used: {_first_line(error)}", "correct it") from error
    namespace = str(context.get("namespace") or "default")
    return replace(access, context=str(loader.current_context["name"]), namespace=namespace)


def _context(merged: Mapping[str, Any], target: KubernetesTarget, place: str) -> str:
    contexts = merged.get("contexts") or ()
    known = [str(context["name"]) for context in contexts if "name" in getattr(context, "value", context)]
    wanted = target.context or merged.get("current-context")
    has = f"it has {', '.join(sorted(known))}" if known else "it has no contexts"
    if not wanted:
        raise _misconfigured(f"the kubeconfig {place} has no current context; {has}", "name the target's `context`")
    if wanted not in known:
        raise _misconfigured(f"the kubeconfig {place} has no context {wanted}; {has}", "correct the target's `context`")
    return str(wanted)


def _entry(merged: Any, section: str, name: str | None) -> Any:
    """The node of the cluster or user of that name; None for a missing user."""
    found = merged[section].get_with_name(name, safe=section == "users") if name else None
    return found[section.removesuffix("s")] if found and found.value.get(section.removesuffix("s")) else None


def _identity(user: Any, name: str | None) -> tuple[str, str]:
    """The authentication of this user of a kubeconfig, and the advice when it is rejected."""
    fields = user.value if user else {}
    if "auth-provider" in fields:
        provider = (fields["auth-provider"] or {}).get("name")
        return f"the auth provider {provider} of user {name}", "log in again"
    if fields.get("token") or fields.get("tokenFile"):
        return f"the token of user {name}", "it may have expired or been revoked: put a new one into the kubeconfig"
    if "exec" in fields:
        command = (fields["exec"] or {}).get("command")
        return f"the exec plugin {command} of user {name}", f"log in again, so that {command} prints a valid token"
    if fields.get("client-certificate") or fields.get("client-certificate-data"):
        return f"the client certificate of user {name}", "it may have expired: request a new one"
    if fields.get("username"):
        return f"the password of user {name}", "Kubernetes supports no passwords since 1.19: use a token"
    return "no credentials", f"give user {name} of the kubeconfig a token, a certificate or an exec plugin"


def _replace_exec(user: Any, cluster: Any, deadline: float) -> None:
    """Replace an exec plugin by its answer; the package would swallow its errors and send no credentials."""
    fields = user.value if user else {}
    if "exec" not in fields or fields.get("token") or fields.get("tokenFile") or "auth-provider" in fields:
        return
    folder = str(Path(user.path).resolve().parent) if user.path else ""
    status = exec_credentials(ExecProvider(user["exec"], folder, cluster), fields["exec"], cluster.value, deadline)
    del fields["exec"]
    if token := status.get("token"):
        fields["token"] = token
    if certificate := status.get("clientCertificateData"):
        fields["client-certificate-data"] = base64.b64encode(certificate.encode()).decode()
        fields["client-key-data"] = base64.b64encode(status["clientKeyData"].encode()).decode()


@contextmanager
def _data_in_files(*entries: Any) -> Iterator[None]:
    """
    Write certificates and keys that a kubeconfig holds as data to files, which are deleted after they are loaded.

    Python loads keys from files alone. The files that the package writes stay until the process ends, and forever when
    a signal ends it.
    """
    held = [(name, entry.value) for entry in entries if entry for name in _IN_FILES if entry.value.get(f"{name}-data")]
    if not held:
        yield
        return
    with TemporaryDirectory(prefix="opscheck-") as folder:
        for name, fields in held:
            path = Path(folder) / name
            path.write_bytes(base64.standard_b64decode(fields.pop(f"{name}-data")))
            fields[name] = str(path)
        yield


def _impersonation(user: Mapping[str, Any], place: str) -> tuple[str, Headers]:
    # The package ignores these fields: requests would use another identity than kubectl's.
    name = user.get("as")
    others = [field for field in ("as-uid", "as-groups", "as-user-extra") if user.get(field)]
    if not name and others:
        raise _misconfigured(f"the kubeconfig {place} has `{others[0]}` but no `as`", "add `as` with the user's name")
    if not name:
        return "", []
    headers = [("Impersonate-User", str(name))]
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    headers += [("Impersonate-Uid", str(user["as-uid"]))] if user.get("as-uid") else []
    for key, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{quote(str(key), safe='')}", str(value)) for value in values]
    return f", acting as {name}", headers


def _access(
    configuration: Configuration, cluster: Mapping[str, Any], impersonation: Headers, identity: str, advice: str
) -> Access:
    server = _with_scheme(str(configuration.host).rstrip("/"), configuration)
    settings = configuration.auth_settings().values()
    headers = [(str(entry["key"]), str(entry["value"])) for entry in settings if entry["in"] == "header"]
    return Access(
        server=server,
        headers=headers + impersonation,
        identity=identity,
        advice=advice,
        tls=_tls(configuration) if server.startswith("https://") else None,
        tls_server_name=configuration.tls_server_name,
        proxy=cluster.get("proxy-url") or environment_proxy(server),
    )


def _with_scheme(server: str, configuration: Configuration) -> str:
    # As client-go: a bare host is HTTPS where a CA or a client certificate is configured.
    if "://" in server:
        return server
    secured = configuration.ssl_ca_cert or configuration.cert_file or not configuration.verify_ssl
    return f"{'https' if secured else 'http'}://{server}"


def _tls(configuration: Configuration) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        # A default since Python 3.13. CAs of many clusters lack the key identifier that it requires.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if configuration.cert_file:
            # Without a password OpenSSL would prompt on the terminal.
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
    except (OSError, ValueError) as error:
        advice = "check certificate-authority, client-certificate and client-key"
        raise _misconfigured(f"a certificate of the kubeconfig cannot be used: {_first_line(error)}", advice) from error
    return context


def _misconfigured(text: str, advice: str) -> ProbeError:
    return ProbeError(ProblemKind.UNSUPPORTED, text, advice, target_down=True)


def _first_line(error: Exception) -> str:
    """The cause, without the quotes of YAML and certificate errors: the file holds credentials."""
    if isinstance(error, yaml.YAMLError):
        mark = getattr(error, "problem_mark", None)
        return f"invalid YAML{f' (line {mark.line + 1})' if mark else ''}"
    if isinstance(error, ConfigException):
        # The package quotes the whole entry of the file, tokens and keys too.
        return mask_secrets(str(error).partition("{")[0].partition("\n")[0].rstrip("/ "))
    return type(error).__name__ if not isinstance(error, ssl.SSLError) else str(error.reason or "invalid PEM")
