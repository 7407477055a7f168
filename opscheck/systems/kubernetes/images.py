"""Images of containers: their names, parsed as container runtimes parse them, and the expectation."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field

from opscheck.core.field_types import only
from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.core.units import Duration
from opscheck.systems.kubernetes.pods import MISSING_PODS, POD_FACTS, ListPods
from opscheck.systems.kubernetes.scope import Glob, OfKind, kubectl

_DOCKER_HUB = "docker.io"
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?/|\[[0-9a-fA-F:]+\](?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,})?"
)


@dataclass(frozen=True)
class ImageReference:
    """The image that a name refers to, with defaults filled in."""

    repository: str
    """With the registry: `docker.io/library/nginx`, `registry:5000/team/app`."""
    tag: str | None
    digest: str | None

    @property
    def is_latest(self) -> bool:
        """True for the tag `latest`, which a name without tag and digest means too."""
        return self.digest is None and self.tag in {None, "latest"}

    def is_from(self, place: str) -> bool:
        """True when `place`, such as `ghcr.io/acme`, is its registry or a folder above it; `*` matches in a part."""
        parts, wanted = self.repository.split("/"), place.split("/")
        # Part by part: a `*` across a slash would let `*.example.com` match `evil.io/x.example.com/y`.
        return len(parts) > len(wanted) and all(map(fnmatchcase, parts, wanted))

    def is_as(self, wanted: "ImageReference") -> bool:
        """True when it has the repository of `wanted`, and the tag and digest if `wanted` names them."""
        return (
            self.repository == wanted.repository
            and wanted.tag in {None, self.tag}
            and wanted.digest in {None, self.digest}
        )


def parse_image(text: str) -> ImageReference:
    """
    The parts of an image's name, valid or not: a colon before the last slash belongs to a port, not to a tag.

    A name without a registry is on Docker Hub.
    """
    name, _, digest = text.partition("@")
    path, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    registry, _, rest = f"{path}{slash}{last}".partition("/")
    if not rest or not (set(registry) & {".", ":"} or registry == "localhost" or registry != registry.lower()):
        registry, rest = _DOCKER_HUB, f"{path}{slash}{last}"
    if registry in {_DOCKER_HUB, f"index.{_DOCKER_HUB}"}:
        registry, rest = _DOCKER_HUB, rest if "/" in rest else f"library/{rest}"
    return ImageReference(f"{registry}/{rest}", tag or None, digest or None)


def is_image(text: str) -> bool:
    return _IMAGE.fullmatch(text) is not None


Image = Annotated[str, only(is_image, "image", "the name of an image, such as registry.example.com/team/app:1.4.2")]
Registry = Annotated[
    str,
    only(
        lambda text: text and text.strip("/") == text and "://" not in text and "@" not in text,
        "registry",
        "a registry or a folder of one, such as ghcr.io/acme or registry:5000",
    ),
]


_IMAGES = (
    "get pod {{ pod }}"
    " -o custom-columns='CONTAINERS:.spec.containers[*].name,RUNNING:.status.containerStatuses[*].imageID'"
)
UNPINNED = kubectl("Name the image exactly where the workload is defined, and roll it out", _IMAGES)
PIN = kubectl(
    "Until then pin the running image", "set image {{ owner }} {{ container }}={{ running_image }}  # the running one"
)
OTHER_REGISTRY = kubectl("Use an image from an allowed registry", _IMAGES)
OTHER_IMAGE = kubectl("Roll out the expected image, or correct the policy", _IMAGES)
HISTORY = kubectl("Find the rollout that brought the image", "rollout history {{ owner }}")
SET_IMAGE = kubectl("Set the expected image", "set image {{ owner }} {{ container }}={{ expected_image }}")
MIXED = kubectl("Complete the rollout, or roll back", _IMAGES)
ROLLOUT = kubectl(
    "Check the progress of the rollout", "rollout status {{ owner }} --watch=false", "rollout history {{ owner }}"
)


class ImagesPinned(OfKind, check="kubernetes.images"):
    """
    The selected pods run the expected, pinned images, the same in all replicas.

    Each workload is judged for unpinned images, other registries, replicas that differ, and images other than the
    expected ones.
    """

    any_limit_of = ("latest", "digest", "registries", "mixed", "expected")
    reads_events = False
    remedies = (UNPINNED, PIN, OTHER_REGISTRY, OTHER_IMAGE, HISTORY, SET_IMAGE, MIXED, ROLLOUT, MISSING_PODS)
    fact_names = (
        OfKind.fact_names
        | POD_FACTS
        | {
            "running_image": "the image that all its pods run, by digest",
            "expected_image": "the exact image that the policy names",
        }
    )
    former_fact_names = OfKind.former_fact_names | {
        "looked_at": Former("pod", UNPINNED, OTHER_REGISTRY, OTHER_IMAGE, MIXED),
        "unpinned": Former("owner", PIN),
        "mixed_rollout": Former("owner", ROLLOUT),
        "differing": Former("owner", HISTORY),
    }

    latest: Literal["forbidden"] | None = None
    """
    `forbidden`: no image may have the tag `latest`, or neither tag nor digest, which means the same.

    The version of such a pod is unknown, and its next start may bring another one.
    """
    digest: Literal["required"] | None = None
    """`required`: every image is named by its digest, `@sha256:...`, which cannot be replaced."""
    registries: Annotated[tuple[Registry, ...], Field(min_length=1)] | None = None
    """
    Allowed registries, or folders of them, such as `[ghcr.io/acme, "*.dkr.ecr.*.amazonaws.com"]`.

    An image without a registry is in `docker.io`, and one of a single word in `docker.io/library`.
    """
    mixed: Literal["forbidden"] | None = None
    """
    `forbidden`: all pods of a workload run the same image in the same container, except in a rollout within `grace`.

    Pods without an owner and pods of jobs are not compared: each run of a job may have its own image.
    """
    expected: Annotated[dict[Glob, Image], Field(min_length=1)] | None = None
    """
    Expected images by name of the container, with `*` and `?`: `{app: "ghcr.io/acme/app:1.4.2"}`.

    An image without tag and digest means any version of it. During a rollout to it, within `grace`, other images are
    allowed.
    """
    ignore_containers: tuple[Glob, ...] = ()
    """Injected containers, such as `istio-*`, that are not judged."""
    grace: Duration = Duration.parse("15m")
    """Maximum duration of a rollout, in which pods run different images."""

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListPods)
