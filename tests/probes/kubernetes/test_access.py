"""Which server is asked, and as whom: what kubectl would do with the same kubeconfig."""

import base64
import json
import ssl
import sys
from pathlib import Path

import pytest
import trustme
import yaml

from opscheck import KubernetesTarget
from opscheck.demo.kubernetes import DEFAULT_USER, KubernetesApi, Rule, Tls, World, pod
from opscheck.demo.serving import LoopbackServer, Response
from opscheck.probes.kubernetes import open_session
from opscheck.queries.kubernetes import ListPods
from opscheck.queries.observation import ProbeError, Problem, ProblemKind

SHOP = ListPods("cluster", "shop")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch, tmp_path):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(name="authority", scope="module")
def _authority():
    return trustme.CA()


def tls(authority, *names, client_authority=None) -> Tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    if client_authority is not None:
        client_authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return Tls(context, authority.cert_pem.bytes())


@pytest.fixture(name="config")
def _config(api, tmp_path):
    """Write the small cluster's kubeconfig with changes to its cluster, user and context; return its path."""

    def config(*, server=api, user=None, cluster=None) -> Path:
        """None in `user` or `cluster` takes a field away."""
        path = server.kubeconfig(tmp_path / "config")
        written = yaml.safe_load(path.read_text())
        for section, entry, changes in (("users", "user", user), ("clusters", "cluster", cluster)):
            merged = written[section][0][entry] | (changes or {})
            written[section][0][entry] = {name: value for name, value in merged.items() if value is not None}
        path.write_text(yaml.safe_dump(written))
        return path

    return config


def asked(path, **fields):
    """The pods that a session sees with this kubeconfig."""
    target = KubernetesTarget(kind="kubernetes", namespace="shop", kubeconfig=path and str(path), **fields)
    session = open_session(target, 5)
    try:
        return [item.name for item in session.ask(SHOP, 5).items]
    finally:
        session.close()


def refused(path, **fields) -> Problem:
    with pytest.raises(ProbeError) as caught:
        asked(path, **fields)
    return caught.value.problem


BOTH = ["web-1", "web-2"]


# Where the kubeconfig is


def test_the_targets_own_kubeconfig_is_used(config):
    assert BOTH == asked(config())


def test_else_the_one_in_the_environment(config, monkeypatch):
    # The package reads this variable once, when it is imported.
    monkeypatch.setenv("KUBECONFIG", str(config()))

    assert BOTH == asked(None)


def test_several_files_are_merged_and_missing_ones_left_out(config, monkeypatch, tmp_path):
    whole = yaml.safe_load(config().read_text())
    (tmp_path / "users").write_text(yaml.safe_dump({"users": whole.pop("users")}))
    (tmp_path / "rest").write_text(yaml.safe_dump(whole))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'nowhere'}:{tmp_path / 'rest'}:{tmp_path / 'users'}")

    assert BOTH == asked(None)


def test_else_the_one_in_the_home_directory(config, tmp_path):
    home = tmp_path / "home" / ".kube"
    home.mkdir(parents=True)
    config().rename(home / "config")

    assert BOTH == asked(None)


def test_else_the_pods_service_account(world, authority, monkeypatch, tmp_path):
    with KubernetesApi(world, tls=tls(authority)) as api:
        (tmp_path / "token").write_text(api.token)
        (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
        # Where the files are in a pod; this machine may be one.
        place = "kubernetes.config.incluster_config.SERVICE_{}_FILENAME"
        monkeypatch.setattr(place.format("TOKEN"), str(tmp_path / "token"))
        monkeypatch.setattr(place.format("CERT"), str(tmp_path / "ca.crt"))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))

        assert BOTH == asked(None)
        api.revoke()
        assert "it authenticated with the token of the pod's service account" in refused(None).text


def test_without_any_it_says_what_to_set():
    problem = refused(None)

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, problem.target_down)
    assert "there is no kubeconfig, and this is no pod with a service account" == problem.text
    assert "set KUBECONFIG, write ~/.kube/config, or name the target's `kubeconfig`" == problem.advice


def test_a_service_account_without_a_token_is_told(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", "/nowhere")

    assert "the pod's service account cannot be used: Service token file does not exist." == refused(None).text


def test_a_context_is_never_looked_for_in_a_pod(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")

    assert "there is no kubeconfig with the context prod" == refused(None, context="prod").text


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path):
    assert f"the kubeconfig {tmp_path / 'nope'} does not exist" == refused(tmp_path / "nope").text


# What can be wrong with it


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"a: b: c: token-XYZ", "it is no YAML (line 1)"),
        (b"- a\n- list\n", "cannot be used"),
        (b"\xff\xfe\x00", "cannot be used"),
        (b"just words", "cannot be used"),
        (b"apiVersion: v1\nkind: Config\n", "has no current context; it has none"),
        (b"contexts: [{name: a, context: {cluster: c, user: u}}]\ncurrent-context: a\n", "name c in"),
        (b"contexts: [{name: a, context: null}]\ncurrent-context: a\n", "cannot be used"),
    ],
)
def test_a_kubeconfig_that_is_none_is_told_without_quoting_it(tmp_path, content, text):
    path = tmp_path / "config"
    path.write_bytes(content)

    problem = refused(path)

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, problem.target_down)
    assert str(path) in problem.text
    assert text in problem.text
    assert "XYZ" not in problem.text


def test_a_field_that_is_missing_is_told_without_the_entry_it_is_missing_in(config):
    path = config(user={"auth-provider": {"name": "oidc", "config": {"client-secret": "hunter2"}}})

    problem = refused(path)

    assert f"the kubeconfig {path} cannot be used: Invalid kube-config file. Expected key id-token in {path}" == (
        problem.text
    )


def test_a_context_that_does_not_exist_names_the_ones_that_do(config):
    path = config()

    assert f"the kubeconfig {path} has no context prod; it has demo" == refused(path, context="prod").text


def test_the_pinned_context_is_used_and_not_the_current_one(config, world, tmp_path):
    with KubernetesApi(World(pod("other-1", "shop"))) as other:
        first = yaml.safe_load(config().read_text())
        second = yaml.safe_load(other.kubeconfig(tmp_path / "second", context="prod").read_text())
        for section in ("clusters", "users"):
            second[section][0]["name"] = "second"
            first[section] += second[section]
        second["contexts"][0]["context"] |= {"cluster": "second", "user": "second"}
        first["contexts"] += second["contexts"]
        (tmp_path / "both").write_text(yaml.safe_dump(first))

        assert ["other-1"] == asked(tmp_path / "both", context="prod")
        assert BOTH == asked(tmp_path / "both", context="demo")
        assert BOTH == asked(tmp_path / "both")


def test_a_ca_file_that_is_not_there_is_named(config):
    path = config(cluster={"server": "https://127.0.0.1:1", "certificate-authority": "nope.pem"})

    assert "nope.pem" in refused(path).text


def test_a_ca_that_is_no_certificate_is_told(config):
    junk = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nnope\n").decode()
    path = config(cluster={"server": "https://127.0.0.1:1", "certificate-authority-data": junk})

    assert "a certificate of the kubeconfig cannot be used" in refused(path).text


# As whom


def test_no_credentials_are_told_as_that(config):
    assert "it authenticated with no credentials" in refused(config(user={"token": None})).text


def test_a_token_file_is_read(config, api, tmp_path):
    (tmp_path / "token").write_text(api.token)

    assert BOTH == asked(config(user={"token": None, "tokenFile": "token"}))


def test_a_token_with_a_line_break_is_told_without_quoting_it(config):
    problem = refused(config(user={"token": "secret\nX-Other: yes"}))

    assert "a credential of the kubeconfig has characters that no HTTP header may have" == problem.text


def test_a_password_is_told_as_that(config):
    problem = refused(config(user={"token": None, "username": "root", "password": "hunter2"}))

    assert "the password of user opscheck" in problem.text
    assert "hunter2" not in problem.text + problem.advice


def test_impersonation_is_sent_though_the_package_ignores_it(config, api):
    api.admit("b", "jane", Rule(verbs=("list",), resources=("pods",)))
    path = config(user={"as": "jane", "as-groups": ["ops", "dev"], "as-uid": "42", "as-user-extra": {"a/b": ["c"]}})

    assert BOTH == asked(path)
    headers = api.requests[-1].headers
    assert ("jane", "ops, dev", "42") == tuple(headers[f"impersonate-{part}"] for part in ("user", "group", "uid"))
    assert "c" == headers["impersonate-extra-a%2fb"]


def test_what_the_impersonated_identity_may_not_is_denied(config):
    problem = refused(config(user={"as": "nobody"}))

    assert ProblemKind.DENIED == problem.kind
    assert problem.text.startswith("the token of user opscheck, acting as nobody may not list pods in namespace shop")
    assert DEFAULT_USER not in problem.text


def test_groups_without_a_user_are_a_mistake(config):
    assert "has `as-groups` and no `as`" in refused(config(user={"as-groups": ["ops"]})).text


# TLS


def test_https_is_verified_with_the_authority_in_the_kubeconfig(world, config, authority):
    with KubernetesApi(world, tls=tls(authority)) as server:
        assert BOTH == asked(config(server=server))


def test_an_unknown_authority_says_where_to_name_it(world, config, authority):
    with KubernetesApi(world, tls=tls(trustme.CA())) as server:
        other = base64.b64encode(authority.cert_pem.bytes()).decode()
        problem = refused(config(server=server, cluster={"certificate-authority-data": other}))

        assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
        assert f"the certificate of 127.0.0.1:{server.port} is signed by an unknown authority" in problem.text
        assert "put the authority's certificate into the kubeconfig as certificate-authority-data" == problem.advice


def test_a_certificate_for_another_name_needs_tls_server_name(world, config, authority):
    with KubernetesApi(world, tls=tls(authority, "kubernetes.default")) as server:
        assert "is for another name" in refused(config(server=server)).text
        assert BOTH == asked(config(server=server, cluster={"tls-server-name": "kubernetes.default"}))


def test_insecure_skip_tls_verify_is_as_insecure_as_it_says(world, config):
    with KubernetesApi(world, tls=tls(trustme.CA())) as server:
        path = config(server=server, cluster={"certificate-authority-data": None, "insecure-skip-tls-verify": True})

        assert BOTH == asked(path)


def test_https_to_a_server_without_tls_is_told(api, config, authority):
    ca = base64.b64encode(authority.cert_pem.bytes()).decode()
    path = config(cluster={"server": f"https://127.0.0.1:{api.port}", "certificate-authority-data": ca})

    assert f"127.0.0.1:{api.port}" in refused(path).text


def test_a_client_certificate_is_shown(world, config, authority):
    clients = trustme.CA()
    mine = clients.issue_cert("jane@example.com")
    with KubernetesApi(world, tls=tls(authority, client_authority=clients)) as server:
        path = config(
            server=server,
            user={
                "client-certificate-data": base64.b64encode(mine.cert_chain_pems[0].bytes()).decode(),
                "client-key-data": base64.b64encode(mine.private_key_pem.bytes()).decode(),
            },
        )

        assert BOTH == asked(path)


# Proxies


def test_the_proxy_of_the_kubeconfig_is_used(config):
    pods = {"kind": "PodList", "items": [{"metadata": {"name": "behind-the-proxy"}}]}

    def answer(exchange):
        body = {"gitVersion": "v1.34.1"} if exchange.request.path == "/version" else pods
        exchange.send(Response(body=json.dumps(body).encode()))

    with LoopbackServer(answer) as proxy:
        path = config(cluster={"server": "http://cluster.invalid:6443", "proxy-url": proxy.url})

        assert ["behind-the-proxy"] == asked(path)


def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(config, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert BOTH == asked(config())
    assert (
        "the proxy 127.0.0.1:1 does not let through" in refused(config(cluster={"server": "http://far.invalid"})).text
    )
    monkeypatch.setenv("no_proxy", "far.invalid")
    assert "the name far.invalid" in refused(config(cluster={"server": "http://far.invalid"})).text


def test_a_proxy_that_is_down_is_told_apart_from_the_cluster(config):
    path = config(cluster={"server": "http://cluster.invalid:6443", "proxy-url": "http://u:hunter2@127.0.0.1:1"})

    problem = refused(path)

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert "the proxy 127.0.0.1:1 does not let through to cluster.invalid:6443" in problem.text
    assert "hunter2" not in problem.text


def test_a_kind_of_proxy_that_is_not_supported_is_told(config):
    problem = refused(config(cluster={"proxy-url": "socks5://127.0.0.1:1"}))

    assert "the proxy 127.0.0.1:1 cannot be used" in problem.text


# Exec plugins


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
        assert "does not know the client (401); it authenticated with the exec plugin" in problem.text


def test_an_exec_plugin_that_fails_is_told_and_not_passed_over(config, plugin):
    user = plugin("sys.exit('the SSO session has expired, password=hunter2')")

    problem = refused(config(user=user))

    assert (ProblemKind.DENIED, True) == (problem.kind, problem.target_down)
    assert problem.text.endswith("failed: the SSO session has expired, password=***")
    assert "run it by hand; a new login may be due" == problem.advice


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("print('hello')", "printed no ExecCredential"),
        ("print('[]')", "printed no ExecCredential"),
        ("print(json.dumps({'apiVersion': 'v0', 'status': {'token': 'x'}}))", "speaks v0, the kubeconfig expects"),
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
    assert "asks for a terminal" in refused(config(user=plugin("", interactiveMode="Always"))).text


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
    assert "of the kubeconfig gave no credentials in" in caught.value.problem.text
    assert not _runs(int((tmp_path / "pid").read_text()))


def _runs(pid: int) -> bool:
    try:
        return "Z" != Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
