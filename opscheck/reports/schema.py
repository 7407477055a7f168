"""
The published JSON Schema of run records; `run.v1.schema.json` in this folder is a copy.

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
"""The schema as a file."""


def run_schema() -> dict[str, Any]:
    """The JSON Schema of `opscheck.run/v1`. Every field is required, except those that are omitted when unset."""
    made = msgspec.json.schema(Run)
    for name, definition in made["$defs"].items():
        if "properties" in definition:
            _complete(getattr(record, name), definition)
    made["$defs"]["Run"]["properties"]["schema"] = {
        "const": RUN_SCHEMA,
        "description": "Type and version of the document.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{RUN_SCHEMA.replace('.', ':').replace('/', ':')}",
        "title": RUN_SCHEMA,
        "description": inspect.getdoc(Run),
        **made,
    }


def _complete(struct: type[msgspec.Struct], definition: dict[str, Any]) -> None:
    """Add required fields and the format of times; msgspec adds the format only for times with a zone."""
    properties, types = definition["properties"], get_type_hints(struct)
    left_out = {field.name for field in msgspec.structs.fields(struct) if field.default is msgspec.UNSET}
    definition["required"] = [name for name in properties if name not in left_out]
    for name, field in properties.items():
        field.pop("default", None)
        if datetime in {types.get(name), *get_args(types.get(name))}:
            field.get("anyOf", [field])[0]["format"] = "date-time"
