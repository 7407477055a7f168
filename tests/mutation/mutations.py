"""Mutations of Python source: small edits, each of which changes what the code decides."""

import ast
import re
from dataclasses import dataclass

SWAPPED_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SWAPPED_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
TEXT_KEYWORDS = {"description", "examples", "title", "summary", "alias", "metadata", "repr", "detail", "hint"}
"""Keywords whose value is text for people. Tests of the language hold them, and no verdict depends on them."""


@dataclass(frozen=True)
class Mutation:
    """One edit: the bytes `start` to `end` of a file become `replacement`."""

    operator: str
    line: int
    start: int
    end: int
    replacement: str

    def apply(self, source: bytes) -> bytes:
        """The file with the edit."""
        return source[: self.start] + self.replacement.encode() + source[self.end :]


def find_mutations(source: bytes) -> list[Mutation]:
    """Every mutation of one module, in the order of its lines. Annotations and text for people are left out."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda one: (one.start, one.end, one.operator, one.replacement))


class _Finder(ast.NodeVisitor):
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.found: list[Mutation] = []
        self.line_starts = [0]
        for line in source.splitlines(keepends=True):
            self.line_starts.append(self.line_starts[-1] + len(line))

    def offsets(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.line_starts[node.lineno - 1] + node.col_offset
        return start, self.line_starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.offsets(node)
        return self.source[start:end].decode()

    def add(self, operator: str, line: int, span: tuple[int, int], replacement: str) -> None:
        self.found.append(Mutation(operator, line, *span, replacement))

    def replace(self, operator: str, node: ast.expr | ast.stmt, replacement: str) -> None:
        self.add(operator, node.lineno, self.offsets(node), replacement)

    def between(self, operator: str, left: ast.expr, right: ast.expr, pattern: str, replacement: str) -> None:
        """Replace the operator that stands between two operands, which may be in parentheses."""
        start, end = self.offsets(left)[1], self.offsets(right)[0]
        found = re.search(pattern, self.source[start:end].decode())
        assert found is not None
        self.add(operator, left.lineno, (start + found.start(), start + found.end()), replacement)

    # What no verdict depends on.

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """An annotation."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Text for people."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            self.visit(node.value)

    # Operators of mutation.

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            pattern, replacement = SWAPPED_COMPARISONS[type(operator)]
            self.between("comparison", left, right, pattern, replacement)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between("and/or", left, right, rf"\b{word}\b", other)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.replace("not dropped", node, self.text(node.operand))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Add | ast.Sub) and not _is_text(node):
            sign, other = (r"\+", "-") if isinstance(node.op, ast.Add) else ("-", "+")
            self.between("+/-", node.left, node.right, sign, other)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.replace("constant", node, str(not node.value))
        elif isinstance(node.value, int | float):
            self.replace("constant", node, repr(node.value + 1))

    def visit_If(self, node: ast.If) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def negate(self, test: ast.expr) -> None:
        """A comparison or `not` has a mutation of its own that does the same."""
        if not isinstance(test, ast.Compare | ast.UnaryOp):
            self.replace("condition negated", test, f"(not ({self.text(test)}))")

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self.replace("filter dropped", condition, "True")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in SWAPPED_NAMES:
            self.replace("call swapped", node.func, SWAPPED_NAMES[node.func.id])
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg not in TEXT_KEYWORDS:
                self.drop_keyword(keyword)
        self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in TEXT_KEYWORDS:
                self.visit(keyword.value)

    def drop_keyword(self, keyword: ast.keyword) -> None:
        start, end = self.offsets(keyword)
        comma = re.match(rb"\s*,", self.source[end:])
        self.add("keyword dropped", keyword.lineno, (start, end + (comma.end() if comma else 0)), "")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.replace("return", node.value, "None")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.replace("raise dropped", node, "pass")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring
        self.replace("statement dropped", node, "(yield from ())" if _yields(node.value) else "pass")
        self.generic_visit(node)


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(side, ast.JoinedStr) or _is_string(side) for side in (node.left, node.right))


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _yields(value: ast.expr) -> bool:
    """Whether the statement makes its function a generator, which it must stay."""
    return isinstance(value, ast.Yield | ast.YieldFrom)
