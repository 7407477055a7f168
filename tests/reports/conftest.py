"""Lets the tests beside it import `sample_runs`; with --import-mode=importlib their folder is not on sys.path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
