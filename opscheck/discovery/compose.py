"""The services of a compose file, as far as it says where they are reached."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from opscheck.core.discovery import Service
from opscheck.core.exit_codes import UserError

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""Where it is looked for, in the order in which Docker does."""

_PUBLISHED = re.compile(r"(?:[^:]+:|\[[^\]]+\]:)?(?P<published>\d+):(?P<target>\d+)(?:/tcp)?")
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::?-(?P<default>[^}]*))?\}")


def read_services(path: Path, environ: Mapping[str, str]) -> tuple[Service, ...]:
    """
    The services with an image, sorted by name. Raises UserError, with nothing of the file's content.

    Variables in ports are replaced as `docker compose` does; no others are.
    """
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError):
        raise UserError(f"{path}: not valid YAML; `docker compose config` shows the error") from None
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        raise UserError(f"{path}: no `services`; it is not a compose file")
    named = sorted((str(name), one) for name, one in services.items() if isinstance(one, dict))
    return tuple(_service(name, one, environ) for name, one in named if isinstance(one.get("image"), str))


def _service(name: str, fields: Mapping[str, Any], environ: Mapping[str, str]) -> Service:
    return Service(
        name=name,
        image=fields["image"],
        ports=dict(_ports(fields.get("ports"), environ)),
        environment=dict(_environment(fields.get("environment"))),
        has_healthcheck=isinstance(fields.get("healthcheck"), dict),
    )


def _ports(ports: object, environ: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    for one in ports if isinstance(ports, list) else ():
        short = f"{one.get('published')}:{one.get('target')}" if isinstance(one, dict) else str(one)
        expanded = _VARIABLE.sub(lambda match: environ.get(match["name"]) or match["default"] or "", short)
        if found := _PUBLISHED.fullmatch(expanded):
            yield int(found["target"]), int(found["published"])


def _environment(variables: object) -> Iterator[tuple[str, str]]:
    if isinstance(variables, dict):
        yield from ((str(name), "" if value is None else str(value)) for name, value in variables.items())
    for one in variables if isinstance(variables, list) else ():
        name, _, value = str(one).partition("=")
        yield name, value
