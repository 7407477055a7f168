"""The rules that text of this project follows, and a reader of the text that each file holds."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """The kinds of text, each with the rules that apply to it."""

    STRING = "string"
    FIELD = "field text"
    DOCSTRING = "docstring"
    TEST_NAME = "test name"
    PROSE = "prose"


@dataclass(frozen=True)
class Text:
    """One text and its place. The parts of an f-string that are computed are `{}`."""

    kind: Kind
    place: str
    words: str


_TEST = re.compile(r" *(?:async )?def test_(\w+)")
_CODE_SPAN = re.compile(r"`[^`]*`|\{\{[^}]*\}\}")


@dataclass(frozen=True)
class Rule:
    """A pattern that a text must not have, and what to write instead."""

    pattern: str
    better: str
    kinds: frozenset[Kind] = frozenset(Kind)

    def broken_by(self, text: Text) -> str | None:
        """The words that break it."""
        if text.kind not in self.kinds:
            return None
        found = re.search(self.pattern, _CODE_SPAN.sub("`…`", text.words))
        return found[0] if found else None


LONGEST_SENTENCE = 25
"""Words in one sentence of a text that a user reads."""

LONGEST_TEST_NAME = 70
"""Characters."""

_USER = frozenset({Kind.STRING, Kind.FIELD, Kind.PROSE})
_DOCS = frozenset({Kind.DOCSTRING, Kind.FIELD})

RULES = (
    Rule(r"(?i)\b(tells?|told|telling)\b", "report, log, print, contain or return"),
    Rule(r"(?i)\b(asks?|asked|asking)\b", "query, request, send or need"),
    Rule(r"(?i)\bquestions?\b", "query or request"),
    Rule(r"(?i)\b(nobody|somebody|whoever|anybody)\b", "the name of the component or the person"),
    Rule(r"(?i)(?<!there )\b(is|are|was|were|be) no\b(?! (longer|more)\b)", "is not a, not found, invalid"),
    Rule(r"\bnone (is|are|has|have)\b|\bat all\b", "no X is …, X not found"),
    Rule(r"(?i)\b(mend|mends|mended|mending)\b", "fix"),
    Rule(r"(?i)\banew\b", "again"),
    Rule(r"(?i)\bbesides?\b", "next to, compared with, also"),
    Rule(r"(?i)\bfor ever\b", "forever"),
    Rule(r"(?i)\bsoon\b", "within the limit, before DATE"),
    Rule(r"(?i)\bmilder\b", "lower severity"),
    Rule(r"(?i)\bgraver\b", "higher severity"),
    Rule(r"(?i)\bwhatever\b", "any, every, or nothing"),
    Rule(r"(?i)\bstands\b", "is, is set, is written"),
    Rule(
        r"(?i)\bhow (old|long|late|far|many|much|bad) (it|they) (may|can|must)\b",
        "maximum age, time limit",
    ),
    Rule(r"\bwhat (is|has|was|are|were|had|no|cannot|does|comes)\b(?! wrong\b)", "the noun", _USER),
    Rule(r"\b1 (expectations|checks|clients|pods|seconds|days|connections|backups|nodes)\b", "the singular"),
    Rule(r"\b\d+[dh]\d+s\b|\bd\d+m\b", "two adjacent units: 2d4h", _USER),
    Rule(r"^(What|Whether|How|Which|Whose|Who)\b", "the noun or the verb", _DOCS),
    Rule(r"^(what|whether|how|which|whose|who|that)_", "subject, condition, result", frozenset({Kind.TEST_NAME})),
)


# One search rules out nearly every text; the rules are then tried one by one.
_SUSPECT = re.compile("|".join(re.sub(r"^\(\?i\)", "", rule.pattern) for rule in RULES), re.IGNORECASE)


def complaints(text: Text) -> Iterator[str]:
    """Each rule that the text breaks, with its place and the better pattern."""
    for rule in RULES if _SUSPECT.search(text.words) else ():
        if found := rule.broken_by(text):
            yield f"{text.place}: {text.kind} has {found!r}; write: {rule.better}\n    {text.words.strip()[:160]}"
    if text.kind is Kind.TEST_NAME and len(text.words) > LONGEST_TEST_NAME:
        yield f"{text.place}: test name of {len(text.words)} characters, at most {LONGEST_TEST_NAME}: {text.words}"
    if text.kind in _USER and not _CODE.search(text.words) and (long := next(_long_sentences(text.words), None)):
        yield f"{text.place}: sentence of {len(long.split())} words, at most {LONGEST_SENTENCE}: {long}"


_CODE = re.compile(r"(?i)\b(select|create table)\b|\{\{|\$\(|\(\?|\[a-z|\| |^\(|\bset -e")
"""SQL, shell and regular expressions: their length is not that of a sentence."""


def _long_sentences(words: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n|\n\s*[-*|] |\n  (?! )", words):
        for sentence in re.split(r"(?<=[.!?:;])\s+", " ".join(paragraph.split())):
            if len(sentence.split()) > LONGEST_SENTENCE:
                yield sentence


def texts(path: Path, root: Path) -> Iterator[Text]:
    """The text of a Python, Markdown or YAML file."""
    where = str(path.relative_to(root))
    read = {".py": _python, ".md": _markdown}.get(path.suffix, _comments)
    for kind, line, words in read(path.read_text(encoding="utf-8")):
        yield Text(kind, f"{where}:{line}", words)


def names_of_tests(path: Path, root: Path) -> Iterator[Text]:
    """The names of the tests of a Python file. To parse all tests would take ten times as long."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if found := _TEST.match(line):
            yield Text(Kind.TEST_NAME, f"{path.relative_to(root)}:{number}", found[1])


def _python(source: str) -> Iterator[tuple[Kind, int, str]]:
    tree = ast.parse(source)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _definition(node, skipped)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and id(node.value) not in skipped:
            skipped.add(id(node.value))
            yield Kind.FIELD, node.lineno, str(node.value.value)
        elif isinstance(node, ast.JoinedStr):
            skipped.update(id(value) for value in node.values)
            yield Kind.STRING, node.lineno, "".join(_literal(value) for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield Kind.STRING, node.lineno, node.value if " " in node.value else ""


def _definition(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, skipped: set[int]
) -> Iterator[tuple[Kind, int, str]]:
    if (text := ast.get_docstring(node)) is not None:
        first = node.body[0]
        assert isinstance(first, ast.Expr)
        skipped.add(id(first.value))
        yield Kind.DOCSTRING, first.lineno, text


def _literal(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else "{}"


def _markdown(source: str) -> Iterator[tuple[Kind, int, str]]:
    fenced = False
    paragraph: list[str] = []
    for number, line in enumerate([*source.splitlines(), ""], start=1):
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        if line.strip() and not fenced and not fence and not line.startswith("|"):
            paragraph.append(line)
        elif paragraph:
            yield Kind.PROSE, number - len(paragraph), "\n".join(paragraph)
            paragraph = []


def _comments(source: str) -> Iterator[tuple[Kind, int, str]]:
    for number, line in enumerate(source.splitlines(), start=1):
        if "# " in line:
            yield Kind.PROSE, number, line.partition("# ")[2]
