"""A first policy for PgBouncer."""

from opscheck.core.discovery import Discovery, DiscoveryInput, Look, Proposal, ProposedTarget, not_read, variables
from opscheck.core.observation import CouldNotObserve
from opscheck.core.published import published
from opscheck.core.units import Severity
from opscheck.systems.pgbouncer.pools import ListPools
from opscheck.systems.postgres.discovery import SCHEMES, is_postgres, names_console


def discover(given: DiscoveryInput, look: Look) -> Discovery:
    """The consoles, with the database `pgbouncer`, of variables such as PGBOUNCER_URL, and of a compose file."""
    found = (one for one in variables(given.environment) if is_postgres(one) and names_console(one))
    targets = [
        ProposedTarget(id=one.id, fields={"kind": "pgbouncer", "dsn": one.reference}, seen=f"found in {one.name}")
        for one in found
    ]
    services, unpublished = published(given, {"pgbouncer"}, (6432, 5432), SCHEMES)
    for one in services:
        example = f"postgresql://STATS_USER:PASSWORD@{one.address}/pgbouncer"
        targets.append(one.target_with_login("pgbouncer", "dsn", example))
    proposed = [propose(target, look) for target in targets]
    return Discovery.together([*proposed, Discovery(not_seen=tuple(unpublished))])


def propose(target: ProposedTarget, look: Look) -> Discovery:
    """Propose an expectation of its pools."""
    query = ListPools(target.id)
    not_seen = []
    try:
        pools = look(target, (query,))(query)
        seen = f"{pools.clients} of {pools.max_clients or 'unlimited'} clients connected. "
    except CouldNotObserve as error:
        not_seen.append(not_read(target.id, "pools", error))
        seen = ""
    proposal = Proposal(
        id=f"{target.id}-pools",
        check="pgbouncer.pools",
        target=target.id,
        fields={
            "waited": {"P2": "1s", "P0": "5s"},
            "servers": {"P3": "90%"},
            "clients": {"P2": "80%", "P0": "95%"},
        },
        severity=Severity.P1,
        reason=f"{seen}A client that waits longer than a second for a connection notices it.",
    )
    return Discovery(targets=(target,), proposals=(proposal,), not_seen=tuple(not_seen))
