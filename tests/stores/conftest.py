"""The servers that these tests talk to."""

from tests.servers.barman import barman_packages, programs_of_backups
from tests.servers.pgbackrest import pgbackrest_programs
from tests.servers.postgres import contrib, limit, own_server, server, stack
from tests.servers.tls_services import changing_over_programs

__all__ = [
    "barman_packages",
    "changing_over_programs",
    "contrib",
    "limit",
    "own_server",
    "pgbackrest_programs",
    "programs_of_backups",
    "server",
    "stack",
]
