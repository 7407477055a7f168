"""The position of a value in a shell command, and its quoting there, so that it stays data."""

import re
import shlex
from dataclasses import dataclass

from opscheck.core.escaping import visible

REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")


@dataclass(frozen=True)
class Place:
    """The position of a value, read from the command's text before it."""

    word: str
    """The part of its word before the value, quotes included."""
    words: tuple[str, ...]
    """The words before that one in the same simple command, without quotes."""
    quoted: bool = False
    """True inside quotes, and behind `$(…)`, backticks, `((…))` or `<<`, where quoting follows other rules."""

    @property
    def fault(self) -> str | None:
        """The reason why a value is not allowed here; None where one is allowed."""
        if self.quoted:
            return "is inside or after quotes, `$(`, a backtick or `<<`; it is quoted automatically, so move it outside"
        if joined := re.search(r"\$\w*$", self.word):
            return f"touches `{joined.group()}`, so that both are one word to the shell; write a variable as ${{NAME}}"
        if self._is_run:
            return "would be the program that runs; only arguments may come from a placeholder"
        if self._is_program:
            return "would be read as program text; hand it over as an argument of its own, such as `-v name=…` to psql"
        return None

    def accepts(self, value: str) -> bool:
        """False for a value that would be an option, and for one that another language could read as more than data."""
        if self._starts_word and value.startswith("-") and self.words[-1:] != ("--",):
            return False
        return not self._programs & _JOINING or _PLAIN.fullmatch(value) is not None

    @property
    def _starts_word(self) -> bool:
        return not self.word.strip("'\"")

    @property
    def _is_run(self) -> bool:
        if _ASSIGNMENT.match(self.word) or self.word.startswith("#"):
            return False
        before = " ".join(self.words)
        if _RUNS_NEXT.search(before):
            return True
        if _PROGRAM_OPTION.search(before) and self._programs & (_INTERPRETERS | _JOINING):
            return self._starts_word
        return all(_LEADS.fullmatch(word) for word in self._before_command())

    @property
    def _is_program(self) -> bool:
        if self._programs & _EVALUATING:
            return True
        if "ssh" in self._programs and not (self._starts_word and _SSH_DESTINATION.search(" ".join(self.words))):
            return True
        own_argument = self._starts_word or _NAMED.fullmatch(re.sub("['\"]", "", self.word))
        return bool(self._programs & _INTERPRETERS) and not own_argument

    @property
    def _programs(self) -> set[str]:
        return {part.rpartition("/")[2] for word in (*self.words, self.word) for part in word.split()}

    def _before_command(self) -> list[str]:
        words = _REDIRECTION.sub(" ", " ".join(self.words)).split()
        wrappers = [word for word in words if word.rpartition("/")[2] in _WRAPPERS]
        return [word for word in words if word not in wrappers and not (wrappers and word.startswith("-"))]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./][A-Za-z0-9_@%+=:,./-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_REDIRECTION = re.compile(r"(?:^|(?<=\s))\d*[<>][<>&|]*\s*\S+")
# What may stand before the command's own name; a variable may be unset, and then the next word is the name.
_LEADS = re.compile(r"[A-Za-z_]\w*\+?=.*|(?:\$\w+|\$\{\w+\})+", re.DOTALL)
_NAMED = re.compile(r"(?!--(command|eval|execute)=)-{0,2}[A-Za-z_][\w-]*=")
_PROGRAM_OPTION = re.compile(r"(^|\s)(-[A-Za-z]*[ce]|--command|--eval|--execute)$")
_RUNS_NEXT = re.compile(
    r"(^|\s)(-exec|-execdir|-ok|-okdir|(exec|run|debug)\s(.*\s)?--|ssh(\s+-\S+(\s+\d+)?)*\s+[^-\s]\S*)$"
)
_SSH_DESTINATION = re.compile(r"(^|\s)ssh(\s+-[46AaCfKkNnqTtvXxY]+)*$")
# The word behind one of these is a command again.
_WRAPPERS = _names("sudo doas env exec command builtin nohup nice time source . trap alias eval xargs watch parallel")
_WRAPPERS |= _names("! { } if then else elif do while until")
# These read their arguments as shell text or arithmetic.
_EVALUATING = _names("eval [[ let unset declare typeset")
# These make one text of all their arguments and have it read by a shell, or take a program as an argument.
_JOINING = _names("ssh su runuser watch parallel awk gawk mawk sed jq yq")
# These read a program from one argument, behind an option such as -c.
_INTERPRETERS = _names("sh bash dash ash zsh ksh python python3 perl ruby node psql mysql mariadb sqlite3 mongosh")

_CONTINUATION = re.compile(r"((?<!\\)(?:\\\\)*)\\\n")
_PART = re.compile(
    r"""(?P<text>\\.|\$\{\w+\}|\$(?![({\['"])|<<<|<(?!<)|[^\\$`<'"\s;|&()#]+
        |'[^']*'|"(?:\\.|\$\{\w+\}|\$(?![({\[])|[^\\$`"])*")
    |(?P<blank>[ \t]+)|(?P<end>(?:(?!\(\()[;|&()\n\r])+)|(?P<comment>(?<![^\s;|&()<>])\#)|(?P<hash>\#)""",
    re.DOTALL | re.VERBOSE,
)


def place_after(text: str) -> Place:
    """The position of a value that follows `text`, the beginning of a shell command."""
    text = _CONTINUATION.sub(r"\1", text)
    at, word, words, in_comment = 0, 0, list[str](), False
    while at < len(text):
        part = _PART.match(text, at)
        # An interactive zsh knows no comments, so a quote in one may open a string there.
        if part is None or (in_comment and part["text"] and part["text"][0] in "\\'\""):
            return Place(text[word:], tuple(words), quoted=True)
        if part["blank"] or part["end"]:
            words = [] if part["end"] else [*words, *_unquoted(text[word:at])]
            word = part.end()
        in_comment = (in_comment or bool(part["comment"])) and "\n" not in (part["end"] or "")
        at = part.end()
    return Place(text[word:], tuple(words))


def _unquoted(word: str) -> list[str]:
    bare = re.sub(r"['\"\\]", "", word)
    return [bare] if bare else []


def written(pieces: list[str], place: Place) -> str | None:
    """
    A value as shell text for `place`. `pieces` alternate: text, a `${NAME}` to be expanded, text, and so on.

    None when it is unsafe there: as an option, or as special characters for another language.
    """
    pieces = [piece if index % 2 else visible(piece) for index, piece in enumerate(pieces)]
    if not place.accepts("".join(pieces)):
        return None
    if len(pieces) == 1:
        return _quoted(pieces[0])
    return "".join(f'"{piece}"' if index % 2 else piece and _quoted(piece) for index, piece in enumerate(pieces))


def _quoted(text: str) -> str:
    # zsh replaces a word that begins with `=` by the path of a program.
    return f"'{text}'" if text.startswith("=") and shlex.quote(text) == text else shlex.quote(text)
