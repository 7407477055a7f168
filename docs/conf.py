"""The documentation site: pages of this folder, one page per check, and the help of each command."""

import sys
from pathlib import Path

from opscheck import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "opscheck"
author = "the opscheck developers"
version = release = __version__
extensions = ["myst_parser", "generated_pages", "internal_links"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_ext", "AGENTS.template.md"]
html_theme = "furo"
html_title = "opscheck"
html_extra_path = ["terminal.svg"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True
