"""Pages that are generated from the code: one per check, the list of checks, the commands, and llms.txt."""

import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import click
from sphinx.application import Sphinx

from opscheck.check_reference import CheckPage, Field, check_page
from opscheck.cli import cli
from opscheck.core.registry import Registry

HEADINGS = ("How it is judged", "Fields", "Severity", "Queries and permissions", "Remedies", "Example")
"""Headings of the page of a check. A check without one of them fails the build."""

_LINK = re.compile(r"\[([^\]]*)\]\(([^)#:]+)(#[^)]*)?\)")
# Text to copy, which is shown in a page.
_NO_PAGE = "AGENTS.template.md"
# Files outside of this folder that are pages here.
_PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "own-checks.md",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for sources, and lead links between files to their pages."""
    docs = Path(app.srcdir)
    app.connect("builder-inited", lambda _: write_pages(docs))
    app.connect("source-read", lambda _, page, text: _replace(text, docs, docs / f"{page}.md"))
    app.connect("include-read", lambda _, path, __, text: _replace(text, docs, docs / path))
    app.connect("build-finished", lambda app, error: None if error else write_llms(docs, Path(app.outdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _replace(text: list[str], docs: Path, file: Path) -> None:
    text[0] = _LINK.sub(partial(_link, docs=docs.resolve(), folder=file.resolve().parent), text[0])


def _link(found: "re.Match[str]", *, docs: Path, folder: Path) -> str:
    """A link to a page of the site. Other files of the repository have no page: their name stays, without a link."""
    words, target, anchor = found.group(1), (folder / found.group(2)).resolve(), found.group(3) or ""
    if not target.exists():
        return found.group()  # a generated page, or a mistake that Sphinx reports
    page = _PAGES.get(os.path.relpath(target, docs.parent)) or os.path.relpath(target, docs)
    return words if page.startswith("..") or page == _NO_PAGE else f"[{words}](/{page}{anchor})"


def write_pages(docs: Path) -> None:
    """Write `checks/` and `commands.md` below `docs`. Raises ValueError for a check without one of the headings."""
    registry = Registry.bundled()
    pages = [check_page(name, registry, {}) for name in registry.checks]
    folder = docs / "checks"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.md"):
        if old.stem not in {"index", *(page.name for page in pages)}:
            old.unlink()
    for page in pages:
        _write(folder / f"{page.name}.md", markdown(page))
    _write(folder / "index.md", _index(pages))
    _write(docs / "commands.md", _commands())


def write_llms(docs: Path, site: Path) -> None:
    """Write llms.txt: each page of the site with its first sentence, for programs that read documentation."""
    registry = Registry.bundled()
    lines = [
        "# opscheck",
        "",
        "> Operational expectations as pytest checks, driven by a policy file.",
        "",
        "## Pages",
        "",
    ]
    lines += [f"- [{page.stem}]({page.stem}.html): {_first_heading(page)}" for page in sorted(docs.glob("*.md"))]
    lines += ["", "## Checks", ""]
    for name in registry.checks:
        lines.append(f"- [{name}](checks/{name}.html): {check_page(name, registry, {}).claim}")
    _write(site / "llms.txt", "\n".join([*lines, ""]))


def markdown(page: CheckPage) -> str:
    """The page of a check. Raises ValueError when a heading would have nothing below it."""
    example = page.example
    parts = {
        "How it is judged": page.judgement,
        "Fields": "\n".join(_table(page.fields)),
        "Severity": "\n".join([page.severities, *_no_answer(page)]),
        "Queries and permissions": _needs(example.queries, example.permissions) if example else "",
        "Remedies": "\n\n".join(_remedies(page)),
        "Example": f"```yaml\n{example.policy}\n```" if example else "",
    }
    if missing := [heading for heading in HEADINGS if not parts[heading].strip()]:
        raise ValueError(f"the page of {page.name} has nothing below: {', '.join(missing)}")
    sections = [f"## {heading}\n\n{parts[heading]}" for heading in HEADINGS]
    return "\n\n".join([f"# {page.name}", page.claim, page.reason, *_writes(page), *sections, ""])


def _no_answer(page: CheckPage) -> list[str]:
    if page.example is None or not page.example.no_answer:
        return []
    return [
        "",
        "A missing answer to the queries of the example is:",
        "",
        *(f"- {line}" for line in page.example.no_answer),
    ]


def _writes(page: CheckPage) -> list[str]:
    return ["It writes to a scratch system, and runs only with `--drill`."] if page.writes else []


def _table(fields: Iterable[Field]) -> Iterator[str]:
    yield "| field | type | default | meaning |\n|---|---|---|---|"
    for field in fields:
        default = "required" if field.required else field.default or ""
        yield f"| `{field.name}` | {_cell(field.type)} | {_cell(default)} | {_cell(field.text)} |"


def _needs(queries: Iterable[str], permissions: Iterable[str]) -> str:
    lines = [*(f"- {query}" for query in queries), "", "It needs:", ""]
    return "\n".join([*lines, *([f"- `{permission}`" for permission in permissions] or ["- no permission"])])


def _remedies(page: CheckPage) -> Iterator[str]:
    for remedy in page.remedies:
        commands = "\n".join(remedy.commands)
        yield f"{remedy.summary}." + (f"\n\n```text\n{commands}\n```" if commands else "")
    if page.facts:
        yield "A policy's own `remediation` can name:"
        yield "\n".join(f"- `{{{{ {name} }}}}`: {text}" for name, text in page.facts.items())


def _index(pages: list[CheckPage]) -> str:
    lines = ["# Checks", ""]
    for system in dict.fromkeys(page.name.partition(".")[0] for page in pages):
        lines += [f"## {system}", "", "| check | claim |", "|---|---|"]
        mine = [page for page in pages if page.name.startswith(f"{system}.")]
        lines += [*(f"| [{page.name}]({page.name}.md) | {_cell(page.claim)} |" for page in mine), ""]
    names = "\n".join(page.name for page in pages)
    return "\n".join([*lines, "```{toctree}\n:hidden:\n", names, "```", ""])


def _commands() -> str:
    context = click.Context(cli, info_name="opscheck", max_content_width=100)
    sections = ["# Commands", f"```text\n{cli.get_help(context)}\n```"]
    for name, command in sorted(cli.commands.items()):
        inner = click.Context(command, info_name=name, parent=context, max_content_width=100)
        sections += [f"## {name}", f"```text\n{command.get_help(inner)}\n```"]
    return "\n\n".join([*sections, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _first_heading(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _write(path: Path, text: str) -> None:
    # Sphinx rebuilds newer files: do not touch a page that has not changed.
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
