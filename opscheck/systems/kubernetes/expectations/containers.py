"""What can be expected of what containers are made of: their images, and the resources they ask for."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.units import Duration
from opscheck.systems.kubernetes.expectations.base import PLACE_FACTS, Matched, OfKind, kubectl
from opscheck.systems.kubernetes.queries.image_references import is_image
from opscheck.systems.kubernetes.queries.pods import ListPods


def _image(value: str) -> str:
    if not is_image(value):
        raise PydanticCustomError("image", "the name of an image, such as registry.example.com/team/app:1.4.2")
    return value


def _registry(value: str) -> str:
    if not value or "://" in value or "@" in value or value.endswith("/") or value.startswith("/"):
        raise PydanticCustomError("registry", "a registry or a folder of one, such as ghcr.io/acme or registry:5000")
    return value


Glob = Annotated[str, Field(min_length=1)]
Image = Annotated[str, AfterValidator(_image)]
Registry = Annotated[str, AfterValidator(_registry)]
Setting = Literal[
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
]

_FACTS = PLACE_FACTS | {
    "pod": "one of the pods",
    "owner": "what controls them, such as deployment/api",
    "container": "the first container that is to blame",
    "missing": "the selector, when it matches too few pods",
}
_WHAT_IS_THERE = "get deployments,statefulsets,daemonsets,pods --show-labels  # what should match {{ missing }}?"


class ImagesPinned(OfKind, check="kubernetes.images"):
    """The selected pods run the images they should: named exactly, from known registries, the same in all replicas."""

    any_limit_of = ("latest", "digest", "registries", "mixed", "expected")
    reads_events = False
    fact_names = _FACTS | {
        "looked_at": "one of the pods, when an image is not what it should be",
        "unpinned": "the owner, when its image may change behind its name",
        "running_image": "the image that all its pods run now, by its digest",
        "mixed_rollout": "the owner, when its pods run different images",
        "differing": "the owner, when it runs another image than the policy names",
        "expected_image": "the image that the policy names, where it names one exactly",
    }
    default_remediation = Remediation(
        summary="Name the image exactly where the workload is defined, and roll it out to the end",
        commands=kubectl(
            "get pod {{ looked_at }}"
            " -o custom-columns='CONTAINERS:.spec.containers[*].name,RUNNING:.status.containerStatuses[*].imageID'",
            "set image {{ unpinned }} {{ container }}={{ running_image }}  # what runs now",
            "rollout status {{ mixed_rollout }} --watch=false",
            "rollout history {{ mixed_rollout }}",
            "rollout history {{ differing }}",
            "set image {{ differing }} {{ container }}={{ expected_image }}",
            _WHAT_IS_THERE,
        ),
    )

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

    def looks_at(self) -> Iterable[Query[Any]]:
        """The pods there."""
        return self.ask(ListPods)


class ResourcesSet(Matched, check="kubernetes.resources"):
    """Every container of the selected pods says what it needs and what it may use."""

    reads_events = False
    fact_names = _FACTS | {
        "unset": "the owner, when kubectl can change its containers' resources",
        "measured": "one of the pods",
    }
    default_remediation = Remediation(
        summary="See what the containers use, and set it, with some room, where the workload is defined",
        commands=kubectl(
            "top pod {{ measured }} --containers  # what they use now",
            "set resources {{ unset }} -c {{ container }} --requests=cpu=100m,memory=128Mi --limits=memory=256Mi"
            "  # with numbers of its own",
            "get limitranges -o yaml  # the defaults for containers such as {{ container }}",
            _WHAT_IS_THERE,
        ),
    )

    require: Annotated[tuple[Setting, ...], Field(min_length=1)] = (
        "requests.cpu",
        "requests.memory",
        "limits.memory",
    )
    """
    What each container must set. A limit for CPU is not among the defaults: leaving it out is often deliberate.

    What the pod sets as a whole counts for each of its containers. A quantity of 0 sets nothing.
    """
    init_containers: bool = False
    """Judge init containers too, which run for a moment; native sidecars are always judged."""
    ignore_containers: tuple[Glob, ...] = ()
    """Containers that others put into the pods, such as `istio-*`: they are not judged."""

    def looks_at(self) -> Iterable[Query[Any]]:
        """The pods there."""
        return self.ask(ListPods)
