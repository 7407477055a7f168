"""Names of container images, read as container runtimes read them: `[registry[:port]/]repository[:tag][@digest]`."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

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
    """True for what can name an image."""
    return _IMAGE.fullmatch(text) is not None
