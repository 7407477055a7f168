"""Where in a shell command a place stands, and how a value is written there so that it stays one piece of data."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from opscheck.core.escaping import visible

REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")


class Quotes(Enum):
    """What surrounds a place."""

    NONE = auto()
    DOUBLE = auto()
    SINGLE = auto()
    NESTED = auto()
    """Where quoting differs: `$(…)`, backticks, `${x:-…}`, `$'…'`, a here-document; and all that follows it."""


@dataclass(frozen=True)
class Place:
    """Where a value goes, told from the command's text before it."""

    quotes: Quotes
    word: str
    """What of the value's own word stands before it, quotes included."""
    words: tuple[str, ...]
    """The words before that one in the same simple command, without quotes."""

    @property
    def starts_word(self) -> bool:
        """True when the value is the beginning of an argument, where a dash would make it an option."""
        return not self.word.strip("'\"")

    @property
    def ends_options(self) -> bool:
        """True right behind `--`, where a dash is no option any more."""
        return self.words[-1:] == ("--",)

    @property
    def joined(self) -> str:
        r"""The `\` or `$name` that touches the value, so that both are one word to the shell; empty if none."""
        found = None if self.quotes is Quotes.SINGLE else _JOINED.search(self.word)
        return found.group() if found else ""

    @property
    def is_run(self) -> bool:
        """True when the value would be what is run, and no argument of it."""
        if self.quotes is Quotes.NESTED and (_SUBSTITUTES if _BODY.search(self.word) else _OPENS).search(self.word):
            return True
        if _ASSIGNMENT.match(self.word) or self.word.startswith("#"):
            return False
        before = " ".join(self.words)
        if _RUNS_NEXT.search(before):
            return True
        if _PROGRAM_OPTION.search(before) and self._programs & (_INTERPRETERS | _JOINING):
            return self.starts_word
        return not _BODY.search(self.word) and all(_LEADS.fullmatch(word) for word in self._before_command())

    @property
    def is_read_again(self) -> bool:
        """True when another language reads the text after the shell: an inner shell, SQL, awk."""
        if self.quotes is Quotes.NESTED or self._programs & _JOINING:
            return True
        own_argument = self.starts_word or bool(_NAMED.fullmatch(self.word.replace('"', "").replace("'", "")))
        return bool(self._programs & _INTERPRETERS) and not own_argument

    @property
    def _programs(self) -> set[str]:
        return {part.rpartition("/")[2] for word in (*self.words, self.word) for part in word.split()}

    def _before_command(self) -> list[str]:
        words = _REDIRECTION.sub(" ", " ".join(self.words)).split()
        wrappers = [word for word in words if word.rpartition("/")[2] in _WRAPPERS]
        return [word for word in words if word not in wrappers and not (wrappers and word.startswith("-"))]


_CONTINUATION = re.compile(r"((?<!\\)(?:\\\\)*)\\\n")
_JOINED = re.compile(r"(?<!\\)(\\\\)*\\$|\$\w*$")
_OPENS = re.compile(r"(^|[;|&(`\n])\s*$")
_BODY = re.compile(r"<<.*\n", re.DOTALL)
_SUBSTITUTES = re.compile(r"(\$\(|`)\s*$")  # all that runs inside a here-document
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_REDIRECTION = re.compile(r"(?:^|(?<=\s))\d*[<>][<>&|]*\s*\S+")
# What may stand before the command's own name; a variable may be unset, and then the next word is the name.
_LEADS = re.compile(r"[A-Za-z_]\w*\+?=.*|(?:\$\w+|\$\{\w+\})+", re.DOTALL)
_NAMED = re.compile(r"(?!--(command|eval|execute)=)-{0,2}[A-Za-z_][\w-]*=")
_PROGRAM_OPTION = re.compile(r"(^|\s)(-[A-Za-z]*[ce]|--command|--eval|--execute)$")
_RUNS_NEXT = re.compile(
    r"(^|\s)(-exec|-execdir|-ok|-okdir|(exec|run|debug)\s(.*\s)?--|ssh(\s+-\S+(\s+\d+)?)*\s+[^-\s]\S*)$"
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The word behind one of these is a command again.
_WRAPPERS = _names("sudo doas env exec command builtin nohup nice time source . trap alias eval xargs watch parallel")
_WRAPPERS |= _names("! { } if then else elif do while until")
# These make one text of all their arguments and have it read by a shell, or take a program as an argument.
_JOINING = _names("eval ssh su runuser watch parallel awk gawk mawk sed jq yq")
# These read a program from one argument, behind an option such as -c.
_INTERPRETERS = _names("sh bash dash ash zsh ksh python python3 perl ruby node psql mysql mariadb sqlite3 mongosh")

_PARTS = {
    Quotes.NONE: re.compile(
        r"(?P<skip>\\.|\$\w+|\$\{\w+\}|<<<|[^\\$`<'\"\s;|&()#]+)|(?P<nested>`|\$[({'\"]|<<)"
        r"|(?P<quote>['\"])|(?P<blank>[ \t]+)|(?P<end>[;|&()\n\r]+)|(?P<comment>(?<!\S)\#[^\n]*)|(?P<other>.)",
        re.DOTALL,
    ),
    Quotes.DOUBLE: re.compile(
        r"(?P<skip>\\.|\$\w+|\$\{\w+\}|[^\\$`\"]+)|(?P<nested>`|\$[({])|(?P<quote>\")|(?P<other>.)", re.DOTALL
    ),
    Quotes.SINGLE: re.compile(r"(?P<skip>[^']+)|(?P<quote>')", re.DOTALL),
}


def place_after(text: str) -> Place:
    """Where a value stands that follows `text`, the beginning of a shell command."""
    text = _CONTINUATION.sub(r"\1", text)
    quotes, at, word, words = Quotes.NONE, 0, 0, list[str]()
    while at < len(text):
        part = _PARTS[quotes].match(text, at)
        kind = part.lastgroup if part else None
        if part is None or kind == "nested":
            return Place(Quotes.NESTED, text[word:], tuple(words))
        if kind == "quote":
            quotes = _toggled(quotes, part.group())
        elif kind in {"blank", "end"}:
            words = [] if kind == "end" else [*words, *_unquoted(text[word:at])]
            word = part.end()
        at = part.end()
    return Place(quotes, text[word:], tuple(words))


def _toggled(quotes: Quotes, mark: str) -> Quotes:
    if quotes is not Quotes.NONE:
        return Quotes.NONE
    return Quotes.DOUBLE if mark == '"' else Quotes.SINGLE


def _unquoted(word: str) -> list[str]:
    bare = re.sub(r"['\"\\]", "", word)
    return [bare] if bare else []


_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./][A-Za-z0-9_@%+=:,./-]*")
_ESCAPED_IN_DOUBLE = re.compile(r'[\\"$`]')


def written(pieces: list[str], place: Place) -> str | None:
    """
    A value as shell text for `place`. `pieces` alternate: text, a `${NAME}` to be expanded, text, and so on.

    None when no quoting makes it safe there: an option where an argument was meant, or odd characters in
    text that another language reads.
    """
    pieces = [piece if index % 2 else visible(piece) for index, piece in enumerate(pieces)]
    if place.starts_word and pieces[0].startswith("-") and not place.ends_options:
        return None
    if len(pieces) == 1 and _PLAIN.fullmatch(pieces[0]):
        return pieces[0]
    if place.is_read_again:
        return None
    return _QUOTED[place.quotes](pieces)


def _bare(pieces: list[str]) -> str:
    if len(pieces) == 1:
        return f"'{_single(pieces)}'"
    return f'"{_double(pieces)}"'


def _single(pieces: list[str]) -> str:
    return "".join(f"'\"{piece}\"'" if index % 2 else piece.replace("'", "'\\''") for index, piece in enumerate(pieces))


def _double(pieces: list[str]) -> str:
    # An interactive shell replaces `!` in double quotes by its history, and a backslash would stay in the value.
    return "".join(
        piece if index % 2 else _ESCAPED_IN_DOUBLE.sub(r"\\\g<0>", piece).replace("!", "\"'!'\"")
        for index, piece in enumerate(pieces)
    )


_QUOTED = {Quotes.NONE: _bare, Quotes.DOUBLE: _double, Quotes.SINGLE: _single}
