"""SQL that a policy may have executed: one statement that selects."""

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

# Strings, quoted names, text between dollars, comments: nothing in them is a keyword.
_OPAQUE = re.compile(
    r"""
      --[^\n]*
    | /\*.*?(?:\*/|\Z)
    | \b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)
    | '(?:[^']|'')*(?:'|\Z)
    | "(?:[^"]|"")*(?:"|\Z)
    | (\$(?:[A-Za-z_]\w*)?\$).*?(?:\1|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_SELECTS = re.compile(r"[\s(]*(?:select|values|table|with)\b", re.IGNORECASE)
# What acts, reaches out or holds a lock although the transaction is read-only. There is no end of such functions;
# these are those that are typed by mistake.
_ACTING = re.compile(
    r"""
    \b(?: pg_(?: switch_wal | create_restore_point | promote | wal_replay_(?:pause|resume) | (?:backup|start|stop)_\w*
               | terminate_backend | cancel_backend | reload_conf | rotate_logfile | log_backend_memory_contexts
               | stat_reset\w* | stat_statements_reset | (?:try_)?advisory_\w+ | notify | sleep\w*
               | (?:create|drop|copy|advance)_\w*slot\w* | replication_\w+ | logical_\w+ | read_\w*file | ls_dir )
      | set_config | setval | nextval | dblink\w* | lo_\w+ | txid_current | pg_current_xact_id | query_to_xml
    )\s*\(
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _without_content(opaque: re.Match[str]) -> str:
    return " " if opaque.group().startswith(("--", "/*")) else "''"


def _select(value: str) -> str:
    text = value.strip().rstrip(";").rstrip()
    bare = _OPAQUE.sub(_without_content, text)
    if not _SELECTS.match(bare):
        raise PydanticCustomError("select", "a statement that begins with SELECT, VALUES, TABLE or WITH")
    if ";" in bare:
        raise PydanticCustomError("select", "one statement alone, and nothing behind its `;`")
    if re.search(r"\$\d", bare):
        raise PydanticCustomError("select", "a statement without parameters such as `$1`: nothing would fill them in")
    if acting := _ACTING.search(bare):
        name = acting.group().rstrip("( \t\n")
        raise PydanticCustomError(
            "select",
            "a statement that only reads: `{name}` acts, waits or keeps a lock, in a read-only transaction too",
            {"name": name},
        )
    return text


SelectStatement = Annotated[str, AfterValidator(_select)]
"""One SELECT, as far as its text tells; the server makes sure of it."""
