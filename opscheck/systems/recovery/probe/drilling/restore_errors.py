"""
Errors of psql and pg_restore during a restore: those that end a drill, and the text that is safe to report.

A message of the server may quote a row. Only messages that are known not to quote a row are reported; for others,
only the kind of error.
"""

import re
from dataclasses import dataclass, field

from psycopg import errors

from opscheck.core.observation import ProbeError
from opscheck.systems.recovery.drill_record import BROKEN, NEWER, REFUSED
from opscheck.systems.recovery.probe.drilling.errors import Failed, unsupported

# The server may use another language; the SQLSTATE marks errors in each of them.
_PSQL = re.compile(r"^psql:.*?:\d+: (?P<word>[^\s:]+):  (?!0[012])(?P<sqlstate>[0-9A-Z]{5}): (?P<message>.*)$")
_PSQL_ITSELF = re.compile(r"^psql:(?:.*?:\d+:)? (?:error|fatal): (.*)$")
# Its workers write at the same time, so the begin of one line may precede another.
_PG_RESTORE = re.compile(r"^(?:pg_restore: ?)+error: (.*)$")
_FROM_SERVER = re.compile(r'^(?P<before>.*?)(?P<word>[^\s:"]+):  (?P<message>.*)$')
_IN_ENGLISH = frozenset({"ERROR", "FATAL", "PANIC"})
_OF_TABLE = re.compile(r'COPY failed for table "[^"]*"')
# The line after an error about rejected rows.
_OF_ROWS = re.compile(r"^(?:CONTEXT:  COPY |LINE \d+: ?INSERT |Command was: INSERT )")
_NO_COMMANDS = ("backslash commands are restricted", "wrong key", "invalid command")

# Objects that the server of a drill need not have: the backup is not at fault without them.
_MISSING = (
    (re.compile(r'^role "(.+?)" does not exist$'), "role {}"),
    (re.compile(r'^must be (?:able to SET ROLE|member of role) "(.+?)"$'), "role {}"),
    (re.compile(r'^tablespace "(.+?)" does not exist$'), "tablespace {}"),
    (re.compile(r'^extension "(.+?)" (?:is not available|does not exist)$'), "extension {}"),
    (re.compile(r'^collation "(.+?)"(?: for encoding "\w+")? does not exist$'), "collation {}"),
    (re.compile(r'^could not open extension control file "(?:.*/)?(.+?)\.control"'), "extension {}"),
    (re.compile(r'^permission denied to create extension "(.+?)"$'), "extension {}"),
    (re.compile(r"^must be owner of extension (.+)$"), "extension {}"),
    (re.compile(r'^permission denied to create event trigger "(.+?)"$'), "event trigger {}"),
    (re.compile(r"^(?:permission denied|must be superuser) to create subscriptions?$"), "subscriptions"),
    (re.compile(r"^must be superuser to create (?:a )?FOR ALL TABLES publication$"), "publications"),
    (re.compile(r"^permission denied for language (\w+)$"), "functions in {}"),
    (re.compile(r"^must be owner of schema public$"), "the comment on schema public"),
    # A newer pg_dump or pg_restore begins with settings that an older server does not have.
    (re.compile(r'^unrecognized configuration parameter "(.+?)"$'), "setting {}"),
)
_SAFE_MESSAGES = re.compile(
    r"""
      ^(?:[\w ]+) \ "[^"]*" (?:\ of\ relation\ "[^"]*")? \ (?:does\ not\ exist|already\ exists)$
    | ^(?:function|type|operator|language|schema|aggregate|cast)\ [^'"]* \ (?:does\ not\ exist|already\ exists)$
    | ^permission\ denied\ .*$
    | ^must\ be\ .*$
    | ^could\ not\ create\ unique\ index\ "[^"]*"$
    | ^duplicate\ key\ value\ violates\ unique\ constraint\ "[^"]*"$
    | ^(?:insert\ or\ update\ on|update\ or\ delete\ on|new\ row\ for)\ .* violates\ [\w-]+\ constraint\ "[^"]*".*$
    | ^null\ value\ in\ column\ "[^"]*".* violates\ not-null\ constraint$
    | ^(?:check|foreign\ key)\ constraint\ "[^"]*" .*$
    | ^invalid\ input\ syntax\ for\ type\ [\w ]+
    | ^value\ too\ long\ for\ type\ .*$
    | ^invalid\ byte\ sequence\ for\ encoding\ "\w+"
    | ^(?:missing\ data\ for|extra\ data\ after)\ .*column.*$
    | ^could\ not\ (?:extend|write)\ .*No\ space\ left\ on\ device$
    | ^unexpected\ EOF\ .*$
    """,
    re.VERBOSE,
)
# Messages of pg_restore about the archive.
_OF_THE_ARCHIVE = re.compile(
    r"^(could not (?:read|uncompress|find|open|seek|set|determine|close|decompress) .*|unsupported version .*"
    r"|.*not appear to be a valid .*|unexpected .*|corrupt .*|.*end of file.*|.*did not find magic.*"
    r"|invalid (?:compression|block|encoding).*|unrecognized (?:data|compress).*|error (?:reading|during) .*|bogus .*"
    r"|this build does not support .*|cannot restore from compressed archive.*|archive items not in correct.*"
    r"|entry ID .* out of range.*|input file is too short.*|ftell mismatch.*|no output directory.*|missing .*)$"
)
_TOO_NEW = re.compile(r"^unsupported version \(([\d.]+)\) in file header")
_UNPACKS_NOT = re.compile(r"this build does not support|cannot restore from compressed archive")
_NO_ROOM = ("53100", "53200")
_MORE_ROOM = "set TMPDIR to a place with more room, and say with `disk` how much it takes"
_LONGEST = 200
_NOT_UNDERSTOOD = "the messages of the scratch server are not in English, and cannot be read"
_ENGLISH = "ALTER ROLE … SET lc_messages = 'C' for the role of the scratch server's dsn, as a superuser"
_ITS_LACK = "the scratch server lacks, so that they are not restored"
_MAKE_IT = "make on the scratch server what rows name: roles come from pg_dumpall --roles-only"


@dataclass
class RestoreErrors:
    """The errors so far: objects that are missing on the scratch server, and the first error that ends the drill."""

    missing: dict[str, None] = field(default_factory=dict)
    ending: Exception | None = None
    _last_missing: str = ""
    """The addition of the last error to `missing`; the next line may remove it."""

    def read_line(self, line: str) -> None:
        """Read one line of a program's standard error."""
        if self.ending is not None:
            return
        line = line.rstrip()
        if (found := _PSQL.match(line)) is not None:
            self._server_error(found["word"], found["message"], found["sqlstate"])
        elif (found := _PSQL_ITSELF.match(line)) is not None:
            self.ending = _psql_error(found[1])
        elif (found := _PG_RESTORE.match(line)) is not None:
            self._pg_restore_error(found[1])
        elif self._last_missing and _OF_ROWS.match(line) is not None:
            del self.missing[self._last_missing]
            self.ending = _rows_refused("")

    def _pg_restore_error(self, text: str) -> None:
        found = _FROM_SERVER.match(text)
        if found is None:
            self.ending = _archive_error(text)
            return
        table = _OF_TABLE.search(found["before"])
        self._server_error(found["word"], found["message"], "", table[0] if table else "")

    def _server_error(self, word: str, message: str, sqlstate: str, where: str = "") -> None:
        if word not in _IN_ENGLISH:
            self.ending = unsupported(_NOT_UNDERSTOOD, _ENGLISH)
            return
        if missing := _missing(message):
            self._lacks(missing, where)
            return
        text = safe_text(message, sqlstate)
        if sqlstate.startswith(_NO_ROOM) or message.endswith(("No space left on device", "out of memory")):
            self.ending = unsupported(f"the scratch server has no room: {text}", _MORE_ROOM)
            return
        self.ending = Failed(REFUSED, f"{where}: {text}" if where else text)

    def _lacks(self, missing: str, where: str) -> None:
        if where:
            self.ending = _rows_refused(f"{where}: ")
            return
        self._last_missing = missing if missing not in self.missing else ""
        self.missing[missing] = None


def _missing(message: str) -> str:
    """The object that is missing on the scratch server, by its message; empty for other messages."""
    for pattern, words in _MISSING:
        if (found := pattern.match(message)) is not None:
            return words.format(*found.groups())
    return ""


def _rows_refused(where: str) -> ProbeError:
    """The error for lost rows. The missing object's name is data, and not reported."""
    return unsupported(f"{where}rows name a role or a collation that {_ITS_LACK}", _MAKE_IT)


def safe_text(message: str, sqlstate: str = "") -> str:
    """The part of a server message that is safe to report."""
    found = _SAFE_MESSAGES.match(message)
    text = found[0] if found is not None else _condition(sqlstate)
    return text[:_LONGEST] + (f" (SQLSTATE {sqlstate})" if sqlstate else "")


def _condition(sqlstate: str) -> str:
    try:
        return f"the server answers {errors.lookup(sqlstate).__name__}"
    except KeyError:
        return "the server refuses a statement; its message may quote a row, and is not shown"


def _psql_error(text: str) -> Exception:
    if any(words in text for words in _NO_COMMANDS):
        return unsupported(
            "the dump has commands of psql in it, which a drill does not run",
            r"look for lines that begin with \ and where they come from: pg_dump of one database writes none",
        )
    return Failed(
        REFUSED, "psql ended: the connection to the scratch server is lost" if "connection" in text else "psql ended"
    )


def _archive_error(text: str) -> Exception:
    if (found := _TOO_NEW.match(text)) is not None:
        return Failed(NEWER, f"a newer pg_dump has made it: its archive format {found[1]} is unknown here")
    if _UNPACKS_NOT.search(text):
        return unsupported(f"pg_restore cannot unpack it: {text[:_LONGEST]}", "install another one")
    found = _OF_THE_ARCHIVE.match(text)
    return Failed(BROKEN, f"pg_restore: {found[0][:_LONGEST] if found else 'it cannot read the archive'}")
