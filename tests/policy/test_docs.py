"""What README and docs/policy.md show is what opscheck reads."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from yamlcore import CCoreLoader

from opscheck.core.expectation import Expectation
from opscheck.policy import models
from opscheck.policy.draft import read_policy
from opscheck.policy.schema import policy_schema
from tests.registries import BUNDLED

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "policy.md"
EXAMPLES = [
    (path.name, number, text)
    for path in (ROOT / "README.md", PAGE)
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))
]
WHOLE = [pytest.param(text, id=f"{name}-{number}") for name, number, text in EXAMPLES if "expectations:" in text]
ENVIRON = {
    "API_URL": "https://api.example.com",
    "API_TOKEN": "token-of-the-api",
    "DATABASE_URL": "postgresql://db.example.com/shop",
    "REDIS_URL": "redis://cache.example.com",
}


@pytest.mark.parametrize("text", [text for text in WHOLE if "extends:" not in text.values[0]])
def test_every_policy_in_the_docs_is_valid(write, text):
    policy = read_policy(write(text), environ=ENVIRON).finish(today=date(2026, 3, 1))

    assert policy.expectations


@pytest.mark.parametrize("text", WHOLE)
def test_every_policy_in_the_docs_matches_the_schema(text):
    errors = Draft202012Validator(policy_schema(BUNDLED)).iter_errors(yaml.load(text, CCoreLoader))  # noqa: S506 - plain values

    assert [] == [f"{error.json_path}: {error.message}" for error in errors]


def test_the_page_names_every_key():
    page = PAGE.read_text(encoding="utf-8")
    targets = {name for kind in BUNDLED.target_types().values() for name in kind.model_fields} - {"name"}
    parts = (models.PolicyFile, models.SeverityLevel, models.Waiver, Expectation)
    keys = targets | {name for part in parts for name in part.model_fields}

    assert [] == sorted(key for key in keys if f"`{key}`" not in page)
