"""Kubernetes quantities, such as `250m` and `512Mi`, without rounding, and the requests of pods."""

import re
from collections.abc import Iterable
from fractions import Fraction

from opscheck.systems.kubernetes.objects import Quantities
from opscheck.systems.kubernetes.pods import Container, ContainerStatus, Pod

_QUANTITY = re.compile(r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))(?P<unit>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?")
_UNITS = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000)}
_UNITS |= {unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", start=1)}
_UNITS |= {f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", start=1)}
_LONGEST = 64


def parse_quantity(text: str) -> Fraction:
    """The value of `text`, in cores or bytes. Raises ValueError."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(f"invalid quantity {text[:_LONGEST]!r}: write it as 250m, 2 or 512Mi")
    # `1E` is an exa and `1E3` a thousand: an E followed by digits is an exponent.
    unit = match["unit"] or ""
    factor = _UNITS.get(unit) or (Fraction(10) ** int(unit[1:]) if unit else Fraction(1))
    return Fraction(match["number"]) * factor


def doubled(text: str) -> str | None:
    """Twice a quantity, with the same unit; None for an invalid one."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number = Fraction(match["number"]) * 2
    written = str(number.numerator) if number.denominator == 1 else f"{float(number):g}"
    return written + (match["unit"] or "")


_NONE = Fraction(0)


def holds_its_node(pod: Pod) -> bool:
    """True for a pod that uses resources of a node; a terminating one does until its containers have ended."""
    return bool(pod.node) and not pod.has_ended


def requested(pod: Pod, resource: str) -> Fraction:
    """
    The amount that the scheduler reserves for `pod`, in cores or bytes. Raises ValueError for an invalid quantity.

    It is the larger of two sums: all containers with sidecars, or the largest init container with the sidecars that
    were started before it. A request of the pod as a whole replaces both. The overhead of its runtime class is added.
    """
    if pod.spec is None:
        return _NONE
    whole = _amount(pod.spec.resources and pod.spec.resources.requests, resource)
    needed = _of_containers(pod, resource) if whole is None else whole
    return needed + (_amount(pod.spec.overhead, resource) or _NONE)


def _of_containers(pod: Pod, resource: str) -> Fraction:
    by_name = {report.name: report for report in pod.reports}
    resize = pod.condition("PodResizePending")
    refused = resize is not None and resize.reason == "Infeasible"

    def each(containers: Iterable[Container] | None) -> list[tuple[Container, Fraction]]:
        return [(one, _of_container(one, by_name.get(one.name), resource, refused)) for one in containers or ()]

    sidecars = most_at_start = _NONE
    for container, amount in each(pod.spec and pod.spec.init_containers):
        if container.restart_policy == "Always":
            sidecars += amount
            most_at_start = max(most_at_start, sidecars)
        else:
            most_at_start = max(most_at_start, sidecars + amount)
    running = sum((amount for _, amount in each(pod.spec and pod.spec.containers)), _NONE)
    return max(running + sidecars, most_at_start)


def _of_container(container: Container, report: ContainerStatus | None, resource: str, refused: bool) -> Fraction:
    # During a resize in place, the scheduler counts the larger of the requested and the current value.
    asked = _amount(container.resources and container.resources.requests, resource)
    in_force = _amount(report and report.resources and report.resources.requests, resource)
    if refused and in_force is not None:
        return in_force
    return max(asked or _NONE, in_force or _NONE)


def _amount(quantities: Quantities | None, resource: str) -> Fraction | None:
    text = (quantities or {}).get(resource)
    return None if text is None else parse_quantity(text)
