"""The Kubernetes API server of the demo and of the tests."""

import base64
import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from opscheck.demo.closing import Closing
from opscheck.demo.kubernetes.access import Identity, Rule
from opscheck.demo.kubernetes.answers import answer
from opscheck.demo.kubernetes.scripts import Script, expired_continue, respond
from opscheck.demo.kubernetes.world import World
from opscheck.demo.serving import Exchange, LoopbackServer, Request, Response, Tls

DEFAULT_USER = "system:serviceaccount:opscheck:opscheck"


@dataclass
class _Rehearsed:
    prefix: str
    script: Script
    when: Callable[[Request], bool]
    left: int | None

    def fits(self, request: Request) -> bool:
        return self.left != 0 and request.path.startswith(self.prefix) and self.when(request)


class KubernetesApi(Closing):
    """
    Serves a World on 127.0.0.1 and a free port, from the moment it is made until `close`.

    token: the bearer token of an identity that may do everything; a random one when not given.
    tls: serves HTTPS; the kubeconfig then carries the certificate authority.
    """

    def __init__(self, world: World | None = None, *, token: str | None = None, tls: Tls | None = None) -> None:
        self.world = world or World()
        self.token = token or secrets.token_urlsafe(24)
        self._identities = {self.token: Identity(DEFAULT_USER, _groups(DEFAULT_USER), _uid(DEFAULT_USER))}
        self._rehearsed: list[_Rehearsed] = []
        self._lock = threading.Lock()
        self._server = LoopbackServer(self._play, tls=tls)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return self._server.url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far (method, path, query, headers, body), in order of arrival."""
        return self._server.requests

    def forget_requests(self) -> None:
        """Start counting again."""
        self._server.forget_requests()

    def admit(self, token: str, username: str, *rules: Rule, groups: tuple[str, ...] | None = None) -> None:
        """Accept another token, whose owner has only the permissions of the rules."""
        known = _groups(username) if groups is None else groups
        who = Identity(username, known, _uid(username), allowed=rules)
        with self._lock:
            self._identities = {**self._identities, token: who}

    def deny(
        self, *resources: str, verbs: tuple[str, ...] = ("*",), namespace: str | None = None, token: str | None = None
    ) -> None:
        """
        Take something away from an identity (without `token` from the one that may do everything).

        resources: plurals such as `pods`, `pods/log`. namespace: only there; None is everywhere.
        """
        rule = Rule(verbs=verbs, resources=resources, namespaces=(namespace,) if namespace else ("*",))
        with self._lock:
            key = token or self.token
            who = self._identities[key]
            self._identities = {**self._identities, key: replace(who, denied=(*who.denied, rule))}

    def revoke(self, token: str | None = None) -> None:
        """Make a token worthless (401), as when it has expired."""
        with self._lock:
            self._identities = {key: who for key, who in self._identities.items() if key != (token or self.token)}

    def answer(
        self,
        path_prefix: str,
        script: Script | Response,
        *,
        times: int | None = None,
        when: Callable[[Request], bool] = lambda _request: True,
    ) -> None:
        """
        Answer requests below a path with a script (or a fixed response) instead of the truth.

        times: so often, then the truth again; None is for good. `when` narrows to some requests. Of
        several that fit, the first that is not used up plays, even before the token is looked at.
        """
        played = respond(script) if isinstance(script, Response) else script
        with self._lock:
            self._rehearsed.append(_Rehearsed(path_prefix, played, when, times))

    def expire_continue(self, path_prefix: str = "/", *, times: int | None = 1, fresh: bool = True) -> None:
        """410 the next continued list; `fresh` offers a token in `metadata.continue` of the answer."""
        script = expired_continue(fresh=fresh)
        self.answer(path_prefix, script, times=times, when=lambda request: bool(request.query.get("continue")))

    def behave(self) -> None:
        """Forget every script."""
        with self._lock:
            self._rehearsed.clear()

    def kubeconfig(
        self,
        path: Path,
        *,
        namespace: str | None = None,
        token: str | None = None,
        context: str = "demo",
        impersonate: str | None = None,
    ) -> Path:
        """Write a kubeconfig that leads here, readable by its owner only, and return its path."""
        cluster: dict[str, Any] = {"server": self.url}
        if self._server.tls is not None:
            cluster["certificate-authority-data"] = base64.b64encode(self._server.tls.authority).decode()
        user = {"token": token or self.token} | ({"as": impersonate} if impersonate else {})
        where = {"cluster": "demo", "user": "opscheck"} | ({"namespace": namespace} if namespace else {})
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "demo", "cluster": cluster}],
            "users": [{"name": "opscheck", "user": user}],
            "contexts": [{"name": context, "context": where}],
            "current-context": context,
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    def close(self) -> None:
        """Stop. May be called twice."""
        self._server.close()

    def _play(self, exchange: Exchange) -> None:
        def honest() -> Response:
            return answer(self.world, exchange.request, self._identities)

        script = self._next_script(exchange.request)
        if script is None:
            exchange.send(honest())
        else:
            script(exchange, honest)

    def _next_script(self, request: Request) -> Script | None:
        with self._lock:
            found = next((rehearsed for rehearsed in self._rehearsed if rehearsed.fits(request)), None)
            if found is None:
                return None
            if found.left is not None:
                found.left -= 1
            return found.script


def _groups(username: str) -> tuple[str, ...]:
    """The groups that authentication gives: a service account is in its namespace's group too."""
    match username.split(":"):
        case ["system", "serviceaccount", namespace, _]:
            return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return ("system:authenticated",)


def _uid(username: str) -> str:
    """A service account is an object, and so has a uid."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, username)) if username.startswith("system:serviceaccount:") else ""
