"""The way to named folders: pytest walks it from the root of the file system, and would look at all that lies there."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest


class CollectionPaths:
    """
    Leads pytest straight to `places`.

    Between the root and a named folder pytest lists every folder on the way and makes a node of each thing in it:
    of thousands of neighbours in a site-packages or a /tmp.
    """

    def __init__(self, places: Iterable[Path]) -> None:
        # As pytest reads its arguments: absolute, with links as they are.
        self._places = [Path(os.path.abspath(place)) for place in places]  # noqa: PTH100 - resolve() follows links

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """A folder on the way leads on; one that was named, and what lies in it, is pytest's."""
        ahead = [place.relative_to(path).parts for place in self._places if place.is_relative_to(path)]
        inside = any(path.is_relative_to(place) for place in self._places)
        if inside or not ahead:
            return None
        return _WayThrough.from_parent(parent, path=path, steps=sorted({parts[0] for parts in ahead}))


class _WayThrough(pytest.Directory):
    """A folder on the way, and where it goes on."""

    def __init__(self, steps: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self._steps = steps

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        for step in self._steps:
            path = self.path / step
            if path.is_dir():
                yield self.ihook.pytest_collect_directory(path=path, parent=self)
            else:
                yield from self.ihook.pytest_collect_file(file_path=path, parent=self)
