"""The sources of `opscheck init`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from opscheck.core.discovery import Cluster, DiscoveryInput, Service
from opscheck.core.exit_codes import UserError
from opscheck.discovery.compose import NAMES, read_services


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The options of the command that name sources."""

    from_environment: bool = False
    compose: Path | None = None
    host: bool = False
    namespace: str | None = None
    context: str | None = None


def chosen(sources: Sources, environ: Mapping[str, str], today: date) -> tuple[DiscoveryInput, list[str]]:
    """
    The input of the systems, and the reasons why parts of it could not be read.

    Where no source is named: the environment, and the compose file of this folder. The kubeconfig is read only where a
    namespace or context is named. Raises UserError for a compose file that was named and cannot be read.
    """
    named = sources.from_environment or sources.compose is not None or sources.host
    compose = sources.compose or (None if named else next((path for path in map(Path, NAMES) if path.exists()), None))
    cluster = Cluster(context=sources.context, namespace=sources.namespace)
    services: tuple[Service, ...] = ()
    problems: list[str] = []
    try:
        services = read_services(compose, environ) if compose else ()
    except UserError as error:
        if sources.compose is not None:
            raise
        problems.append(str(error))
    given = DiscoveryInput(
        environment=environ if sources.from_environment or not named else {},
        cluster=cluster if sources.namespace or sources.context else None,
        services=services,
        host=sources.host,
        today=today,
    )
    return given, problems
