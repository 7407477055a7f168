"""Images of containers: their names, read as container runtimes read them, and what can be expected of them."""

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
    """Which image is meant, with what its name leaves to convention filled in."""

    repository: str
    """With the registry: `docker.io/library/nginx`, `registry:5000/team/app`."""
    tag: str | None
    digest: str | None

    @property
    def is_latest(self) -> bool:
        """True when it is whatever was pushed last as `latest`, which is what no tag and no digest means too."""
        return self.digest is None and self.tag in {None, "latest"}

    def is_from(self, place: str) -> bool:
        """True when `place`, such as `ghcr.io/acme`, is its registry or a folder that it is in; `*` inside a part."""
        parts, wanted = self.repository.split("/"), place.split("/")
        # Part by part: no `*` may reach beyond a slash, or `*.example.com` would let in `evil.io/x.example.com/y`.
        return len(parts) > len(wanted) and all(map(fnmatchcase, parts, wanted))

    def is_as(self, wanted: "ImageReference") -> bool:
        """True when it is of the same repository, and has the tag and the digest that `wanted` names."""
        return (
            self.repository == wanted.repository
            and wanted.tag in {None, self.tag}
            and wanted.digest in {None, self.digest}
        )


def parse_image(text: str) -> ImageReference:
    """
    The parts of an image's name, whatever it is: a colon before the last slash belongs to a port, and not to a tag.

    A name without a registry is one of Docker Hub's.
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
    "Until then pin the image that runs", "set image {{ owner }} {{ container }}={{ running_image }}  # what runs now"
)
OTHER_REGISTRY = kubectl("Take the image from a registry that is allowed", _IMAGES)
OTHER_IMAGE = kubectl("Roll the expected image out, or correct the policy", _IMAGES)
HISTORY = kubectl("See which rollout brought the image", "rollout history {{ owner }}")
SET_IMAGE = kubectl("Set the expected image", "set image {{ owner }} {{ container }}={{ expected_image }}")
MIXED = kubectl("Let the rollout come to its end, or roll back", _IMAGES)
ROLLOUT = kubectl(
    "See how far the rollout is", "rollout status {{ owner }} --watch=false", "rollout history {{ owner }}"
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
            "running_image": "the image that all its pods run now, by its digest",
            "expected_image": "the image that the policy names, where it names one exactly",
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
    `forbidden`: no image may have the tag `latest`, or neither a tag nor a digest, which means the same.

    Nobody can tell which version such a pod runs, and its next start may bring another one.
    """
    digest: Literal["required"] | None = None
    """`required`: every image is named by its digest, `@sha256:...`, which nobody can replace."""
    registries: Annotated[tuple[Registry, ...], Field(min_length=1)] | None = None
    """
    Where images may come from: registries, or folders of them, such as `[ghcr.io/acme, "*.dkr.ecr.*.amazonaws.com"]`.

    An image without a registry is `docker.io`'s, and one of a single word is in `docker.io/library`.
    """
    mixed: Literal["forbidden"] | None = None
    """
    `forbidden`: all pods of a workload run the same image in the same container, but for a rollout within `grace`.

    Pods that nobody controls and those of jobs, of which each run may have its own, are not compared.
    """
    expected: Annotated[dict[Glob, Image], Field(min_length=1)] | None = None
    """
    The image that containers should run, by their name, which may hold `*` and `?`: `{app: "ghcr.io/acme/app:1.4.2"}`.

    An image without a tag and a digest stands for any version of it. While a rollout to it is on its way, within
    `grace`, other images are all right.
    """
    ignore_containers: tuple[Glob, ...] = ()
    """Containers that others put into the pods, such as `istio-*`: they are not judged."""
    grace: Duration = Duration.parse("15m")
    """How long a rollout may take, while which pods run different images."""

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListPods)
