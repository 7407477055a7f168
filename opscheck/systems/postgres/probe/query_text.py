"""The texts of statements, without the values in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

NO_STATEMENT = "text that is not a statement"
"""Replaces a text that does not begin like SQL: it may be a password typed into the wrong window."""
_SHOWN = 300

# As in PostgreSQL's lexer, every character beyond ASCII may be part of a name.
_START, _PART = r"A-Za-z_\u0080-\U0010ffff", r"A-Za-z0-9_\u0080-\U0010ffff"
# The server cuts texts at track_activity_query_size: an open token ends there.
_TOKEN = re.compile(
    rf"""
      (?P<space>  [ \t\n\r\f\v]+ | --[^\n\r]* )
    | (?P<comment> /\* )
    | (?P<escaped> [eE]'(?: [^'\\] | \\. | '' )*(?: ' | \\?\Z ) )
    | (?P<quoted> (?: [bBxXnN] | [uU]& )?'(?: [^'] | '' )*(?: ' | \Z ) )
    | (?P<dollars> \$(?: [{_START}][{_PART}]* )?\$ )
    | (?P<parameter> \$[0-9]+ )
    | (?P<name> (?: [uU]& )?"(?: [^"] | "" )*(?: " | \Z ) )
    | (?P<word> [{_START}][{_PART}$]* )
    | (?P<number> \.?[0-9][{_PART}.]*(?: (?<=[eE])[+-][0-9]+ )? )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_VALUES = frozenset({"escaped", "quoted", "dollars", "number"})
_SILENT = frozenset({"space", "comment"})
_PLAIN_NAME = re.compile(r'"[A-Za-z_][A-Za-z0-9_$]*"')
_COMMENT_ENDS = re.compile(r"/\*|\*/")
_SAME_AGAIN = re.compile(r"\?(?:\s?,\s?\?)+")
_FIRST_WORDS = frozenset(
    """
    abort alter analyse analyze autovacuum begin call checkpoint close cluster comment commit copy create deallocate
    declare delete discard do drop end execute explain fetch grant import insert listen load lock merge move notify
    prepare reassign refresh reindex release repack reset revoke rollback savepoint security select set show start
    table truncate unlisten update vacuum values wait with
    """.split()  # noqa: SIM905 - fifty words, a line each
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def masked(query: str, shown: int = _SHOWN) -> str:
    """
    A statement on one line with `?` for every value, without comments, and no longer than `shown`.

    Where values cannot be separated from the rest, only the first keyword is kept.
    """
    tokens = list(_tokens(query))
    spoken = [one for one in tokens if one.kind not in _SILENT and one.text not in {"(", ";"}]
    if not spoken:
        return ""
    first = spoken[0].text
    if first.lower() not in _FIRST_WORDS:
        return NO_STATEMENT
    if tokens[-1].kind == "ambiguous":
        return f"{first.upper()} …"
    text = " ".join("".join(map(_as_shown, tokens)).split())
    text = _SAME_AGAIN.sub("?, …", text)
    return text if len(text) <= shown else text[: shown - 2].rstrip() + " …"


def _tokens(query: str) -> Iterator[_Token]:
    """The parts of a statement, to its end or to where it is ambiguous."""
    position = 0
    while match := _TOKEN.match(query, position):
        kind, text = str(match.lastgroup), match.group()
        # The server's standard_conforming_strings decides if `\'` ends a string.
        if (kind == "quoted" and "\\'" in text) or (kind == "other" and text == "\\"):
            yield _Token("ambiguous", text)
            return
        yield _Token(kind, text)
        position = _end(query, match)


def _end(query: str, match: re.Match[str]) -> int:
    """The end of the token: comments nest, and dollar-quoted text ends with the same tag."""
    if match.lastgroup == "comment":
        return _end_of_comment(query, match.end())
    if match.lastgroup == "dollars":
        closing = query.find(match.group(), match.end())
        return len(query) if closing < 0 else closing + len(match.group())
    return match.end()


def _end_of_comment(query: str, position: int) -> int:
    depth = 1
    while depth and (mark := _COMMENT_ENDS.search(query, position)):
        depth += 1 if mark.group() == "/*" else -1
        position = mark.end()
    return len(query) if depth else position


def _as_shown(token: _Token) -> str:
    if token.kind in _VALUES:
        return "?"
    if token.kind in _SILENT:
        return " "
    if token.kind == "name" and not _PLAIN_NAME.fullmatch(token.text):
        return '"?"'  # some write values like this by mistake
    return token.text
