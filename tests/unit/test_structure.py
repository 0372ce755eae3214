"""Structure rules beyond import-linter: the length of files and functions, and where stores are opened."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "cryptoml"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))
LONGEST_FILE = 300
LONGEST_FUNCTION = 60
# On the line of the def, or in the lines just above it, this comment gives the reason why a function is longer.
MARKER = "# long: "


def long_functions(code: str) -> list[str]:
    """Functions of more than LONGEST_FUNCTION lines that have no MARKER with a reason.

    Decorators and the signature are not counted: a command's signature declares its options.
    """
    lines = code.splitlines()
    return [
        f"{node.name} ({length} lines)"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.body[0].lineno + 1) > LONGEST_FUNCTION
        and not any(MARKER in line for line in beside(node, lines))
    ]


def beside(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> Iterator[str]:
    yield lines[node.lineno - 1]
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    for line in reversed(lines[: first - 1]):
        if not line.strip().startswith("#"):
            return
        yield line


@pytest.mark.parametrize("name", FILES)
def test_files_and_functions_are_short(name: str) -> None:
    code = (ROOT / name).read_text(encoding="utf-8")
    assert len(code.splitlines()) <= LONGEST_FILE
    assert long_functions(code) == []


def test_a_long_function_needs_a_stated_reason() -> None:
    body = "    x = 1\n" * (LONGEST_FUNCTION + 1)
    found = [f"f ({LONGEST_FUNCTION + 1} lines)"]
    assert long_functions(f"def f():\n{body}") == found
    assert long_functions(f"def f():\n{body[:-10]}") == []
    assert long_functions(f"# long: a table\n@decorated\ndef f():\n{body}") == []
    assert long_functions(f"def f():  # long: a table\n{body}") == []
    assert long_functions(f"# long: of another\nx = 1\ndef f():\n{body}") == found


def test_a_store_is_opened_only_for_the_project_or_for_a_copy() -> None:
    openers = {
        name
        for name in FILES
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id == "open_store"
    }
    assert openers == {
        "cryptoml/tracking/moving/endpoints.py",
        "cryptoml/tracking/moving/read_only.py",
        "cryptoml/tracking/store/project_store.py",
    }
