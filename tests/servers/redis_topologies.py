"""Real Redis servers that belong together, or ask more of their clients than a password."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trustme

from opscheck.demo import redis as demo
from opscheck.demo.closing import Closing
from opscheck.demo.credentials import password
from opscheck.demo.redis import Redis
from opscheck.transport.processes import ServerFailed, ServerProcess, accepts, folder, free_port, wait_until
from tests.servers.redis import say, set_config

_WITHIN = 30
_SLOTS = 16384
_ATTEMPTS = 3


def info(server: Redis, section: str) -> dict[str, str]:
    """The fields of a section of INFO."""
    lines = (line.partition(":") for line in say(server, "INFO", section).splitlines())
    return {name: value for name, _, value in lines if value}


def user_url(server: Redis, name: str, *rules: str) -> str:
    """Make an ACL user anew (`+ping`, `~*`), and the URL to connect with as that one."""
    secret = password()
    assert "+OK\r\n+OK" in say(server, "ACL", "SETUSER", name, "reset", "on", f">{secret}", *rules)
    return f"redis://{quote(name, safe='')}:{quote(secret, safe='')}@127.0.0.1:{server.port}/0"


class Replicated:
    """A primary and its replicas."""

    def __init__(self, primary: Redis, replicas: Sequence[Redis]) -> None:
        self.primary = primary
        self.replicas = replicas

    @property
    def replica(self) -> Redis:
        """The first."""
        return self.replicas[0]

    def cut(self, replica: Redis | None = None) -> None:
        """Take away the link of a replica (the first), which goes on to serve, and looks for its primary in vain."""
        replica = replica or self.replica
        set_config(replica, masterauth="wrong")
        for one in self.replicas:
            say(self.primary, "CLIENT", "KILL", "TYPE", "replica")
            if one is not replica:
                _wait_for_link(one, "up")
        _wait_for_link(replica, "down")

    def mend(self) -> None:
        """Give every replica its link back."""
        for one in self.replicas:
            set_config(one, masterauth=self.primary._password)
            _wait_for_link(one, "up")
        _wait_for_online(self)


def _wait_for_online(pair: Replicated) -> None:
    """A replica is up a moment before its primary takes it for online."""
    wait_until(lambda: _online(pair.primary) == len(pair.replicas), _WITHIN, "not every replica is online")


def _online(primary: Redis) -> int:
    return say(primary, "INFO", "replication").count("state=online")


def _wait_for_link(replica: Redis, state: str) -> None:
    wait_until(lambda: info(replica, "replication").get("master_link_status") == state, _WITHIN, f"no link is {state}")


@contextmanager
def replicated(replicas: int = 1, **settings: str) -> Iterator[Replicated]:
    """A primary with replicas that have caught up. They have one password."""
    with ExitStack() as running:
        primary = running.enter_context(Redis(**{"repl-diskless-sync-delay": "0"}, **settings))
        settings |= {"replicaof": f"127.0.0.1 {primary.port}", "masterauth": f'"{primary._password}"'}
        followers = [running.enter_context(Redis(secret=primary._password, **settings)) for _ in range(replicas)]
        pair = Replicated(primary, followers)
        for one in followers:
            _wait_for_link(one, "up")
        _wait_for_online(pair)
        yield pair


@contextmanager
def redis_cluster(masters: int = 3, **settings: str) -> Iterator[list[Redis]]:
    """A Redis Cluster that serves every slot, each of its masters the same number of them. They have one password."""
    secret = password()
    of_cluster = {"cluster-enabled": "yes", "cluster-node-timeout": "2000", "masterauth": f'"{secret}"'}
    with ExitStack() as running:
        nodes = [running.enter_context(Redis(secret=secret, **of_cluster, **settings)) for _ in range(masters)]
        for number, node in enumerate(nodes):
            slots = range(_SLOTS * number // masters, _SLOTS * (number + 1) // masters)
            say(node, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            say(node, "CLUSTER", "ADDSLOTS", *map(str, slots))
            say(nodes[0], "CLUSTER", "MEET", "127.0.0.1", str(node.port))
        for node in nodes:
            wait_until(lambda node=node: _knows(node, masters), _WITHIN, "the cluster does not come together")
        yield nodes


def _knows(node: Redis, masters: int) -> bool:
    said = say(node, "CLUSTER", "INFO")
    return "cluster_state:ok" in said and f"cluster_size:{masters}" in said


@dataclass(frozen=True)
class TlsRedis:
    """A Redis that takes TLS, on another port beside its own."""

    server: Redis
    port: int
    authority: Path
    """Who signed its certificate, and whose clients' certificates it takes."""
    certificate: Path
    """A client's, with its key in the same file."""

    @property
    def url(self) -> str:
        """A URL to connect with over TLS."""
        return f"rediss://:{quote(self.server._password, safe='')}@127.0.0.1:{self.port}/0"


@contextmanager
def redis_with_tls(executable: Path, home: Path, *, clients_certificate: bool = False) -> Iterator[TlsRedis]:
    """
    A Redis with a certificate for 127.0.0.1 of an authority of its own. `home` is a folder for the files.

    executable: Debian's (`stores.redis(7)`), for the wheel's was built without TLS.
    """
    authority, files = trustme.CA(), {name: home / f"{name}.pem" for name in ("authority", "server", "client")}
    authority.cert_pem.write_to_path(str(files["authority"]))
    for name in ("server", "client"):
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(files[name]))
    port = free_port()
    settings = {
        "tls-port": str(port),
        "tls-cert-file": str(files["server"]),
        "tls-key-file": str(files["server"]),
        "tls-ca-cert-file": str(files["authority"]),
        "tls-auth-clients": "yes" if clients_certificate else "no",
    }
    with Redis(executable=executable, **settings) as server:
        yield TlsRedis(server, port, files["authority"], files["client"])


class Sentinel(Closing):
    """A sentinel that watches a primary, under a name. It has a password when it is given one."""

    def __init__(self, primary: Redis, name: str = "cache", *, secret: str | None = None) -> None:
        self._folder = folder()
        self._process: ServerProcess | None = None
        self.name = name
        self._secret = secret
        try:
            self._start_somewhere(primary)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """A URL to connect to the sentinel itself with."""
        who = f":{quote(self._secret, safe='')}@" if self._secret else ""
        return f"redis://{who}127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop, and delete its folder. May be called twice."""
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def _start_somewhere(self, primary: Redis) -> None:
        home = Path(self._folder.name)
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            path = home / "sentinel.conf"  # it writes into it
            path.write_text(self._configuration(primary))
            self._process = ServerProcess("sentinel", [demo.program(), path, "--sentinel"], home / "log")
            try:
                self._process.wait_until(lambda: accepts(self.port))
            except ServerFailed:
                self._process.stop()
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _configuration(self, primary: Redis) -> str:
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self._folder.name}",
            *([f'requirepass "{self._secret}"'] if self._secret else []),
            f"sentinel monitor {self.name} 127.0.0.1 {primary.port} 1",
            f"sentinel auth-pass {self.name} {primary._password}",
            f"sentinel down-after-milliseconds {self.name} 500",
        ]
        return "".join(f"{line}\n" for line in lines)
