"""
Definitions of objects that others publish: cert-manager's and Velero's, as they stand in their Go modules.

A module is fetched once for a machine, by Go's own proxy, and held to the sum that it had when it was chosen. Only its
definitions are kept, outside the checkout.
"""

import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.api import Api
from tests.cluster.building import find_go, is_required
from tests.servers.cache import NotThere, cached, fingerprint, last_line, make_once

FETCHING_TAKES_AT_MOST = 5 * 60.0

Object = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """A Go module with definitions in it."""

    module: str
    version: str
    checksum: str
    """What go.sum would say of it."""
    folder: str
    """Where the definitions are in it."""

    @property
    def name(self) -> str:
        """The module at its version, as `go` takes it."""
        return f"{self.module}@{self.version}"


CERT_MANAGER = Published(
    "github.com/cert-manager/cert-manager",
    "v1.21.2",
    "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
    "deploy/crds",
)
VELERO = Published(
    "github.com/vmware-tanzu/velero",
    "v1.18.3",
    "h1:9uwN5yxTWQl9PsF5ljX4xiG+7VIq3I9mxOQ0DyyZ31A=",
    "config/crd/v1/bases",
)


def establish(api: Api, published: Published) -> None:
    """Have the API server serve such objects, and wait until it does. Raises NotThere."""
    found = definitions(published)
    api.apply(*found)
    for definition in found:
        api.wait_for(definition, "Established")


@functools.cache
def definitions(published: Published) -> tuple[Object, ...]:
    """Every CustomResourceDefinition of the module, in the order of their files' names. Raises NotThere."""
    files = sorted(_folder(published).glob("*.yaml"))
    documents = (document for file in files for document in yaml.safe_load_all(file.read_text()))
    return tuple(
        {key: value for key, value in document.items() if key != "status"}  # of the generator, and empty
        for document in documents
        if document and document["kind"] == "CustomResourceDefinition"
    )


def _folder(published: Published) -> Path:
    place = cached(f"definitions-{fingerprint(repr(published).encode())}")
    if not place.exists():
        if not is_required():
            raise NotThere(f"the definitions of {published.module} were not fetched yet: `make cluster` does, once")
        make_once(place, functools.partial(_fetch, published), FETCHING_TAKES_AT_MOST)
    return place


def _fetch(published: Published, folder: Path, within: float) -> None:
    told = _download(published, within)
    if told.get("Sum") != published.checksum:
        raise NotThere(f"{published.name} is not what it was when it was chosen: {told.get('Sum')}")
    folder.mkdir()
    for file in (Path(told["Dir"]) / published.folder).glob("*.yaml"):
        shutil.copyfile(file, folder / file.name)  # and not its mode: a module's files cannot be written to
    if not any(folder.iterdir()):
        raise NotThere(f"{published.name} has no definitions in {published.folder}")


def _download(published: Published, within: float) -> dict[str, str]:
    """Where `go` has put the module, and its sum."""
    # It is held to a sum of our own, and needs no other module, nor a workspace or the flags of another project.
    environment = os.environ | {"GOWORK": "off", "GOFLAGS": "", "GONOSUMDB": published.module}
    command = [find_go(), "mod", "download", "-json", published.name]
    try:
        # The root, for there is no module around it.
        done = subprocess.run(
            command, cwd="/", env=environment, capture_output=True, text=True, timeout=within, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotThere(f"{published.name} was not fetched in {within:.0f} s") from None
    told: dict[str, str] = json.loads(done.stdout) if done.stdout.strip() else {}
    if done.returncode or told.get("Error"):
        raise NotThere(f"{published.name} cannot be fetched: {told.get('Error') or last_line(done.stderr)}")
    return told
