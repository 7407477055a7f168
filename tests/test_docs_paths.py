"""Every path, module, attribute and link that a Markdown page names exists, and code excerpts are the code's."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

import opscheck

ROOT = Path(__file__).parents[1]
# `make docs` writes these, and verifies each link to them.
GENERATED = {"commands.md", "checks/index.md"}
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for page in (ROOT / "docs").glob("*.md") if page.name not in GENERATED),
        *(page for folder in ("examples", "benchmarks", ".github") for page in (ROOT / folder).rglob("*.md")),
    ]
)
FOLDERS = ("opscheck", "checks", "policies", "tests", "docs", "examples", "benchmarks", r"\.ci", r"\.github")

_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./<>*-]*")
_MODULE = re.compile(r"(?<![\w./-])opscheck(?:\.[A-Za-z_]\w*)+")
_ATTRIBUTE = re.compile(r"\b([A-Z][A-Za-z]+)\.([a-z_]+)\b")
_EXCERPT = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```", re.DOTALL | re.MULTILINE)

# Words that look like modules: properties of JUnit test cases, files of users.
NO_MODULES = {
    "opscheck.id",
    "opscheck.check",
    "opscheck.verdict",
    "opscheck.run",
    "opscheck.yaml",
    "opscheck.schema.json",
}


@pytest.fixture(name="page", params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def _page(request) -> Path:
    return request.param


def inline(page: Path) -> Iterator[str]:
    """The words of the page's code spans, without those of fenced blocks."""
    for span in _INLINE.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        yield from span.split()


def test_pages_are_found():
    assert {"README.md", "ARCHITECTURE.md", "policy.md"} <= {page.name for page in PAGES}


def test_every_path_exists(page):
    named = {word.rstrip(".,:;") for word in inline(page) if _PATH.fullmatch(word)}

    assert [path for path in sorted(named) if not list(ROOT.glob(re.sub(r"<\w+>", "*", path)))] == []


def test_every_link_resolves(page):
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))

    links = [link for link in _LINK.findall(text) if link not in GENERATED]
    assert [link for link in links if not _leads_somewhere(page, link)] == []


def test_every_module_exists(page):
    named = {name for name in _MODULE.findall(page.read_text(encoding="utf-8")) if name not in NO_MODULES}

    assert [name for name in sorted(named) if not _is_importable(name)] == []


def test_every_attribute_of_a_public_class_exists(page):
    named = {match.groups() for word in inline(page) for match in _ATTRIBUTE.finditer(word)}
    ours = {(kind, name) for kind, name in named if kind in opscheck.__all__}

    assert [f"{kind}.{name}" for kind, name in sorted(ours) if not _has(getattr(opscheck, kind), name)] == []


def test_excerpts_are_in_the_files_that_they_name(page):
    for path, excerpt in _EXCERPT.findall(page.read_text(encoding="utf-8")):
        lines = iter((ROOT / path).read_text(encoding="utf-8").splitlines())
        wanted = [line for line in excerpt.splitlines() if line.strip() and line.strip() not in {"…", "# …"}]
        # `in` consumes the iterator: the lines must follow each other.
        assert [line for line in wanted if line not in lines] == [], path


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(("https://", "mailto:")):
        return True
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _is_importable(name: str) -> bool:
    if name == "opscheck.checks":  # a wheel has the checks inside the package
        return True
    module, *rest = name.split(".")
    found: object = import_module(module)
    for part in rest:
        module = f"{module}.{part}"
        try:
            found = getattr(found, part) if hasattr(found, part) else import_module(module)
        except ModuleNotFoundError:
            return False
    return True


def _has(kind: type, name: str) -> bool:
    declared = {field.name for field in fields(kind)} if is_dataclass(kind) else set()
    declared |= set(kind.model_fields) if issubclass(kind, BaseModel) else set()
    return name in declared or hasattr(kind, name) or name in getattr(kind, "__annotations__", {})
