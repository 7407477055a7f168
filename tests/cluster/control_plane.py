"""A real control plane on loopback: etcd and kube-apiserver, and on demand what moves a cluster."""

import base64
import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import trustme
import yaml

from opscheck.demo.closing import Closing
from opscheck.transport.processes import ServerProcess, accepts, free_port
from tests.cluster.api import Api
from tests.cluster.building import Programs

STAGES = Path(__file__).with_name("stages")
"""How fake nodes and their pods behave."""

_STARTING_TAKES_AT_MOST = 60.0
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
# In a cluster each controller has an account of its own, with a role of its own; here they may all do everything.
_USERS = {
    "admin": ("opscheck-tests", "system:masters"),
    "controllers": ("system:kube-controller-manager", "system:masters"),
    "scheduler": ("system:kube-scheduler", ""),
    "kwok": ("kwok", "system:masters"),
}


class Cluster(Closing):
    """
    An API server with its storage, from the moment it is made until `close`; RBAC decides who may do what.

    Nothing else runs, so that a status stays what a test makes of it. `start_controllers` adds what runs in a real
    cluster: the controllers, the scheduler, and kwok in the place of kubelets. Logs stay in `folder`.
    """

    def __init__(self, programs: Programs, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._tokens = {who: secrets.token_urlsafe(24) for who in _USERS}
        self.admin = self._tokens["admin"]
        self._authority = trustme.CA()
        self._audit = folder / "audit.log"
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self.authority = folder / "ca.pem"
        self._opened = ExitStack()
        self._controllers: list[ServerProcess] = []
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._write_files()
            self._start_storage_and_server()
            self.api = self.connect(self.admin)
            on_failure.pop_all()

    def connect(self, token: str = "") -> Api:
        """A client with this token; without one nobody in particular."""
        api = Api(self.url, self.authority, token)
        self._opened.callback(api.close)
        return api

    def start_controllers(self) -> None:
        """Let the cluster move: controllers, scheduler and fake kubelets."""
        leaderless = ("--leader-elect=false", "--secure-port=0")
        self._move(
            "kube-controller-manager",
            "--kubeconfig",
            self.kubeconfig("controllers"),
            "--service-account-private-key-file",
            self._folder / "accounts.key",
            "--root-ca-file",
            self.authority,
            "--horizontal-pod-autoscaler-sync-period=1s",
            "--node-monitor-grace-period=20s",
            *leaderless,
        )
        self._move("kube-scheduler", "--kubeconfig", self.kubeconfig("scheduler"), *leaderless)
        stages = [word for path in sorted(STAGES.glob("*.yaml")) for word in ("--config", path)]
        # Without leases the controllers soon take the nodes for dead: to kill a kubelet, take its node's label away.
        played = ("--manage-nodes-with-label-selector=kubelet=kwok", "--node-lease-duration-seconds=10")
        self._move("kwok", "--kubeconfig", self.kubeconfig("kwok"), *played, *stages)

    def stop_controllers(self) -> None:
        """Stop all that moves, so that a status stays what a test makes of it."""
        while self._controllers:
            self._controllers.pop().stop()

    def kubeconfig(self, who: str = "admin", *, token: str | None = None, namespace: str | None = None) -> Path:
        """Write a kubeconfig with the token of one of the cluster's own users, or with another, and return its path."""
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        where = {"cluster": "real", "user": who} | ({"namespace": namespace} if namespace else {})
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": who, "user": {"token": token or self._tokens[who]}}],
            "contexts": [{"name": "real", "context": where}],
            "current-context": "real",
        }
        path = self._folder / f"{secrets.token_hex(4) if token else who}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    def requests_of(self, agent: str) -> list[dict[str, Any]]:
        """What the audit log has of the clients that call themselves so, one entry for each request."""
        return [entry for entry in self._audited() if entry.get("userAgent", "").startswith(agent)]

    def outdate(self) -> None:
        """Forget every older state, as etcd does every five minutes; a list that began before has then expired."""
        # A write, so that there is a state after all that lists show.
        nothing = base64.b64encode(b"nothing of Kubernetes").decode()
        revision = self._storage("put", key=nothing)["header"]["revision"]
        self._storage("compaction", revision=revision, physical=True)

    def _storage(self, action: str, **body: Any) -> Any:
        url = f"http://127.0.0.1:{self._storage_port}/v3/kv/{action}"
        return httpx.post(url, json=body, timeout=10, trust_env=False).raise_for_status().json()

    def close(self) -> None:
        """Stop everything, in the reverse of its order. May be called twice."""
        self.stop_controllers()
        self._opened.close()

    def _write_files(self) -> None:
        self._authority.cert_pem.write_to_path(self.authority)
        served = self._authority.issue_cert("127.0.0.1", "localhost")
        for number, pem in enumerate(served.cert_chain_pems):
            pem.write_to_path(self._folder / "server.pem", append=number > 0)
        served.private_key_pem.write_to_path(self._folder / "server.key")
        # Any key will do to sign the tokens of service accounts.
        self._authority.issue_cert("accounts").private_key_pem.write_to_path(self._folder / "accounts.key")
        lines = [f'{self._tokens[who]},{user},{who},"{group}"\n' for who, (user, group) in _USERS.items()]
        (self._folder / "tokens.csv").write_text("".join(lines))
        (self._folder / "audit.json").write_text(json.dumps(_AUDIT))

    def _start_storage_and_server(self) -> None:
        self._storage_port = free_port()
        storage, peers = f"http://127.0.0.1:{self._storage_port}", "http://127.0.0.1:0"
        # It sets 130 MB aside before the first object; of a run that is over, logs are enough.
        data = self._opened.enter_context(tempfile.TemporaryDirectory(prefix="opscheck-etcd-"))
        etcd = self._start(
            "etcd",
            f"--data-dir={data}",
            "--unsafe-no-fsync",
            *(f"--{role}-client-urls={storage}" for role in ("listen", "advertise")),
            *(f"--{role}-peer-urls={peers}" for role in ("listen", "initial-advertise")),
            f"--initial-cluster=default={peers}",
        )
        etcd.wait_until(lambda: accepts(self._storage_port), within=_STARTING_TAKES_AT_MOST)
        server = self._start("kube-apiserver", f"--etcd-servers={storage}", *self._server_options())
        probe = self.connect(self.admin)
        server.wait_until(lambda: _is_ready(probe), within=_STARTING_TAKES_AT_MOST)

    def _server_options(self) -> Iterator[str]:
        yield from ("--bind-address=127.0.0.1", f"--secure-port={self._port}", "--authorization-mode=RBAC")
        yield from (f"--tls-cert-file={self._folder / 'server.pem'}", "--service-cluster-ip-range=10.0.0.0/16")
        yield from (f"--tls-private-key-file={self._folder / 'server.key'}", "--endpoint-reconciler-type=none")
        yield from (f"--token-auth-file={self._folder / 'tokens.csv'}", f"--audit-log-path={self._audit}")
        yield f"--audit-policy-file={self._folder / 'audit.json'}"
        yield from ("--service-account-issuer=https://kubernetes.default.svc", "--allow-privileged")
        yield from (f"--service-account-{use}file={self._folder / 'accounts.key'}" for use in ("key-", "signing-key-"))
        # 1.34 and later go on with a list from memory for some minutes more; older ones, and these, ask the storage.
        yield "--feature-gates=ListFromCacheSnapshot=false"
        # Accounts are made by a controller, and a cluster without one takes pods all the same.
        yield "--disable-admission-plugins=ServiceAccount"

    def _start(self, name: str, *options: str | Path) -> ServerProcess:
        process = ServerProcess(name, [self._programs[name], *options], self._folder / f"{name}.log")
        self._opened.callback(process.stop)
        return process

    def _move(self, name: str, *options: str | Path) -> None:
        self._controllers.append(self._start(name, *options))

    def _audited(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._audit.read_text().splitlines()]


def _is_ready(api: Api) -> bool:
    try:
        return api.client.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
