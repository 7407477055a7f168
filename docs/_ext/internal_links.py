"""After the build: each internal link of each page leads to a file of the site, and to an anchor in it."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

_LOG = logging.getLogger(__name__)


class Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect `href`, `src` and `id`."""
        for name, value in attrs:
            if name in {"href", "src"} and value and tag != "base":
                self.links.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def setup(app: Sphinx) -> dict[str, bool]:
    """Check the links at the end of a build. A broken link is a warning, and so an error of `make docs`."""
    app.connect("build-finished", lambda app, error: None if error else check(Path(app.outdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def check(site: Path) -> None:
    """Log each broken link, and the numbers of pages and links."""
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}
    internal = [(file, link) for file, page in pages.items() for link in page.links if _is_internal(link)]
    for file, link in internal:
        if not _resolves(pages, file, link):
            _LOG.warning("%s: broken link to %s", file.relative_to(site), link)
    (site / "links.txt").write_text(f"{len(pages)} pages, {len(internal)} internal links\n", encoding="utf-8")


def _is_internal(link: str) -> bool:
    return not urlsplit(link).scheme and not link.startswith("//")


def _resolves(pages: dict[Path, Page], file: Path, link: str) -> bool:
    parts = urlsplit(link)
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return False
    # Scripts of the theme use an anchor without a name for the top of the page.
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].anchors
