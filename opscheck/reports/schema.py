"""
The published JSON Schema of run records; `run.v1.schema.json` beside this module holds the same.

After a change: opscheck schema --run > opscheck/reports/run.v1.schema.json
"""

import inspect
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from opscheck.core import record
from opscheck.core.record import RUN_SCHEMA, Run

PUBLISHED = Path(__file__).with_name("run.v1.schema.json")
"""Where the schema stands as a file."""


def run_schema() -> dict[str, Any]:
    """The JSON Schema of `opscheck.run/v1`. Every field is required, but those that are left out where unset."""
    made = msgspec.json.schema(Run)
    for name, definition in made["$defs"].items():
        if "properties" in definition:
            _mark_times(getattr(record, name), definition["properties"])
            _require_written(getattr(record, name), definition)
    made["$defs"]["Run"]["properties"]["schema"] = {"const": RUN_SCHEMA, "description": "What this document is."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{RUN_SCHEMA.replace('.', ':').replace('/', ':')}",
        "title": RUN_SCHEMA,
        "description": inspect.getdoc(Run),
        **made,
    }


def _require_written(struct: type[msgspec.Struct], definition: dict[str, Any]) -> None:
    left_out = {field.name for field in msgspec.structs.fields(struct) if field.default is msgspec.UNSET}
    definition["required"] = [name for name in definition["properties"] if name not in left_out]
    for field in definition["properties"].values():
        field.pop("default", None)


def _mark_times(struct: type[msgspec.Struct], properties: dict[str, Any]) -> None:
    """Say which texts are times; msgspec says it only of times that must carry a zone."""
    for name, annotation in get_type_hints(struct).items():
        choices = properties[name].get("anyOf", [properties[name]])
        if annotation is datetime or datetime in get_args(annotation):
            choices[0]["format"] = "date-time"
