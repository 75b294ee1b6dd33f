"""The house rules that can be counted: sizes, names, annotations, docstrings, reasons."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from convostore import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "convostore").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MIGRATIONS = sorted((ROOT / "migrations").rglob("*.py"))

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "service"}
SILENCER = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:)")
REASON = re.compile(r"( - |\]\s+#\s*(?!noqa)(?!type:))\S*\w")
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|VACUUM|ATTACH)\s")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Documented: TypeAlias = Function | ast.ClassDef | ast.Module


@cache
def tree_of(path: Path) -> ast.Module:
    """Parse *path*, once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def place(path: Path, node: ast.AST) -> str:
    """Say where *node* is, for whoever has to go there."""
    name = getattr(node, "name", "")
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {name}"


def functions(paths: list[Path]) -> Iterator[tuple[Path, Function]]:
    """Yield each function, however deep, and its file."""
    for path in paths:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, Function):
                yield path, node


def public(node: ast.Module | ast.ClassDef) -> Iterator[Documented]:
    """Yield *node* and what is public in it; what is inside a function is nobody's business."""
    yield node
    for inner in node.body:
        if isinstance(inner, Function | ast.ClassDef) and not inner.name.startswith("_"):
            if isinstance(inner, ast.ClassDef):
                yield from public(inner)
            else:
                yield inner


def length(function: Function) -> int:
    """Count the lines of *function*, its docstring not counted."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def file_lengths() -> dict[Path, int]:
    """Count the lines of each source file."""
    return {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}


def test_files_are_short() -> None:
    """No source file has more than 400 lines, and half of them at most 150."""
    lengths = file_lengths()
    assert [f"{path}: {lines}" for path, lines in lengths.items() if lines > 400] == []
    assert statistics.median(lengths.values()) <= 150


def test_functions_are_short() -> None:
    """No function has more than 60 lines, one in twenty more than 40, and half at most 10."""
    found = [(length(node), place(path, node)) for path, node in functions(SOURCES)]
    lengths = sorted(lines for lines, _ in found)
    assert [where for lines, where in found if lines > 60] == []
    assert statistics.median(lengths) <= 10
    assert lengths[int(len(lengths) * 0.95)] <= 40


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each comment and its line."""
    source = io.StringIO(path.read_text(encoding="utf-8"))
    for token in tokenize.generate_tokens(source.readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_functions_take_few_positional_arguments() -> None:
    """No function takes more than five arguments by position, or its line says why."""
    found = []
    for path, node in functions(SOURCES):
        names = [arg.arg for arg in [*node.args.posonlyargs, *node.args.args]]
        count = len([name for name in names if name not in {"self", "cls"}])
        if count > 5 and node.lineno not in dict(comments(path)):
            found.append(place(path, node))
    assert found == []


def test_everything_is_annotated() -> None:
    """Every argument and every result has its type."""
    found = []
    for path, node in functions(SOURCES):
        own = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        own += [arg for arg in (node.args.vararg, node.args.kwarg) if arg]
        bare = [arg for arg in own if arg.annotation is None and arg.arg not in {"self", "cls"}]
        if bare or node.returns is None:
            found.append(place(path, node))
    assert found == []


def test_everything_public_has_a_docstring() -> None:
    """Every module, public class and public function says what it is."""
    found = [
        place(path, node)
        for path in SOURCES
        for node in public(tree_of(path))
        if not ast.get_docstring(node)
    ]
    assert found == []


def test_every_test_says_its_claim() -> None:
    """Every test has a sentence of docstring."""
    found = [
        place(path, node)
        for path, node in functions(TESTS)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert found == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    """No module or folder is called utils, helpers, common, manager or the like."""
    found = [
        str(path.relative_to(ROOT))
        for path in [*SOURCES, *TESTS]
        if FORBIDDEN_NAMES & set(re.split(r"[_/.]", str(path.relative_to(ROOT))))
    ]
    assert found == []


def test_every_exception_has_its_reason_on_the_line() -> None:
    """Each noqa, type-ignore and pragma says why."""
    found = [
        f"{path.relative_to(ROOT)}:{line} {comment}"
        for path in [*SOURCES, *TESTS, *MIGRATIONS]
        for line, comment in comments(path)
        if SILENCER.search(comment) and not REASON.search(comment)
    ]
    assert found == []


def test_every_skip_says_why() -> None:
    """Each test that may be skipped says on what condition or for what reason."""
    found = []
    for path in TESTS:
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in {"pytest.skip", "pytest.xfail"} and not node.args and not node.keywords:
                found.append(place(path, node))
            if name in {"pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"}:
                keywords = {keyword.arg for keyword in node.keywords}
                found += [] if "reason" in keywords else [place(path, node)]
    assert found == []


def words(node: ast.AST) -> str:
    """Return the fixed text in an f-string, a `%` or a `.format`, else nothing."""
    if isinstance(node, ast.JoinedStr):
        pieces = [piece.value for piece in node.values if isinstance(piece, ast.Constant)]
        varies = any(isinstance(piece, ast.FormattedValue) for piece in node.values)
        return "".join(str(piece) for piece in pieces) if varies else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _text(node.func.value) if node.func.attr == "format" else ""
    return ""


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_sql_is_never_put_together_from_text() -> None:
    """No SQL is made by an f-string, `%`, `+` or `format`, or its line says why."""
    found = [
        place(path, node)
        for path in [*SOURCES, *MIGRATIONS]
        for node in ast.walk(tree_of(path))
        if SQL.search(words(node)) and getattr(node, "lineno", 0) not in dict(comments(path))
    ]
    assert found == []


def raised_errors(function: Function) -> set[type[errors.ConvostoreError]]:
    """Return our errors that *function* itself raises by name."""
    named = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found = getattr(errors, ast.unparse(node.exc.func), None)
            if isinstance(found, type) and issubclass(found, errors.ConvostoreError):
                named.add(found)
    return named


def test_raised_errors_are_documented() -> None:
    """Each error that a public function raises stands in its `Raises:`, itself or its family."""
    found = []
    for path in SOURCES:
        for node in public(tree_of(path)):
            if not isinstance(node, Function):
                continue
            if any("command" in ast.unparse(decorator) for decorator in node.decorator_list):
                continue  # its docstring is the help that people read
            told = (ast.get_docstring(node) or "").partition("Raises:")[2]
            for error in raised_errors(node):
                family = {cls.__name__ for cls in error.__mro__[:-3]}
                if not any(re.search(rf"\b{name}\b", told) for name in family):
                    found.append(f"{place(path, node)}: {error.__name__}")
    assert found == []


@pytest.mark.parametrize(
    ("comment", "reasoned"),
    [
        ("# noqa: S603", False),
        ("# noqa: S603 - constants only", True),
        ("# type: ignore[arg-type]", False),
        ("# type: ignore[arg-type]  # noqa: PGH003", False),
        ("# type: ignore[arg-type]  # the stub is wrong", True),
    ],
)
def test_reason_is_told_from_code(comment: str, reasoned: bool) -> None:
    """The rule for reasons takes words for a reason, and no codes."""
    assert bool(REASON.search(comment)) is reasoned
