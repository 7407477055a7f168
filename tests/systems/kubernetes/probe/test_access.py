"""Which server is asked, and as whom: what kubectl would do with the same kubeconfig."""

import base64
import json
import tempfile

import pytest
import trustme
import yaml

from opscheck import KubernetesTarget
from opscheck.core.observation import ProblemKind
from opscheck.demo.kubernetes import DEFAULT_USER, KubernetesApi, Rule, World, pod
from opscheck.demo.serving import LoopbackServer, Response
from opscheck.systems.kubernetes.probe import open_session
from tests.systems.kubernetes.probe.sessions import BOTH, SHOP, asked, names, refused, tls

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
    assert "no kubeconfig found, and not running in a pod with a service account" == problem.text
    assert "set KUBECONFIG, write ~/.kube/config, or name the target's `kubeconfig`" == problem.advice


def test_a_service_account_without_a_token_is_told(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", "/nowhere")

    assert "the pod's service account cannot be used: Service token file does not exist." == refused(None).text


def test_a_context_is_never_looked_for_in_a_pod(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")

    assert "no kubeconfig found for the context prod" == refused(None, context="prod").text


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path):
    assert f"the kubeconfig {tmp_path / 'nope'} does not exist" == refused(tmp_path / "nope").text


# What can be wrong with it


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"a: b: c: token-XYZ", "invalid YAML (line 1)"),
        (b"- a\n- list\n", "cannot be used"),
        (b"\xff\xfe\x00", "cannot be used"),
        (b"just words", "cannot be used"),
        (b"apiVersion: v1\nkind: Config\n", "has no current context; it has no contexts"),
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

    assert "a credential of the kubeconfig has characters that are invalid in an HTTP header" == problem.text


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


def test_impersonated_identity_without_permission_is_denied(config):
    problem = refused(config(user={"as": "nobody"}))

    assert ProblemKind.DENIED == problem.kind
    assert problem.text.startswith("the token of user opscheck, acting as nobody may not list pods in namespace shop")
    assert DEFAULT_USER not in problem.text


def test_groups_without_a_user_are_a_mistake(config):
    assert "has `as-groups` but no `as`" in refused(config(user={"as-groups": ["ops"]})).text


# TLS


def test_https_is_verified_with_the_authority_in_the_kubeconfig(world, config, authority):
    with KubernetesApi(world, tls=tls(authority)) as server:
        assert BOTH == asked(config(server=server))


def test_an_unknown_authority_says_where_to_name_it(world, config, authority):
    with KubernetesApi(world, tls=tls(trustme.CA())) as server:
        other = base64.b64encode(authority.cert_pem.bytes()).decode()
        problem = refused(config(server=server, cluster={"certificate-authority-data": other}))

        assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
        assert f"the certificate of 127.0.0.1:{server.port} is signed by an unknown CA" in problem.text
        assert "add the CA certificate to the kubeconfig as certificate-authority-data" == problem.advice


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


@pytest.fixture(name="certified")
def _certified(world, config, authority):
    """A kubeconfig with a client certificate and its key in it, for a server that asks for one."""
    clients = trustme.CA()
    mine = clients.issue_cert("jane@example.com")
    with KubernetesApi(world, tls=tls(authority, client_authority=clients)) as server:
        yield config(
            server=server,
            user={
                "client-certificate-data": base64.b64encode(mine.cert_chain_pems[0].bytes()).decode(),
                "client-key-data": base64.b64encode(mine.private_key_pem.bytes()).decode(),
            },
        )


def test_a_client_certificate_is_shown(certified):
    assert BOTH == asked(certified)


def test_no_key_of_the_kubeconfig_stays_in_a_file_while_the_cluster_is_asked(certified, tmp_path, monkeypatch):
    """Whoever ends the run with a signal would leave it there for ever."""
    files = tmp_path / "temporary"
    files.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(files))
    session = open_session(KubernetesTarget(kind="kubernetes", namespace="shop", kubeconfig=str(certified)), 5)
    try:
        assert [] == list(files.iterdir())
        assert BOTH == names(session.ask(SHOP, 5))
    finally:
        session.close()


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
    assert "the proxy 127.0.0.1:1 does not connect to" in refused(config(cluster={"server": "http://far.invalid"})).text
    monkeypatch.setenv("no_proxy", "far.invalid")
    assert "the name far.invalid" in refused(config(cluster={"server": "http://far.invalid"})).text


def test_a_proxy_that_is_down_is_told_apart_from_the_cluster(config):
    path = config(cluster={"server": "http://cluster.invalid:6443", "proxy-url": "http://u:hunter2@127.0.0.1:1"})

    problem = refused(path)

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert "the proxy 127.0.0.1:1 does not connect to cluster.invalid:6443" in problem.text
    assert "hunter2" not in problem.text


def test_a_kind_of_proxy_that_is_not_supported_is_told(config):
    problem = refused(config(cluster={"proxy-url": "socks5://127.0.0.1:1"}))

    assert "the proxy 127.0.0.1:1 cannot be used" in problem.text


def test_a_server_that_the_policy_pins_must_be_the_one(api, config):
    assert BOTH == asked(config(), server=api.url)
    api.forget_requests()

    problem = refused(config(), server="https://prod.example.com:6443")

    assert (
        f"the policy pins the API server https://prod.example.com:6443, but the context uses {api.url}" == problem.text
    )
    assert problem.target_down
    assert () == api.requests
