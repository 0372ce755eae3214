"""A new command needs one file in workflows/, one in cli/commands/ and one line in cli/app.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cryptoml
from tests.conftest import Done, clean_environ

WORKFLOW = '''
"""Count the lines of a file."""

from pathlib import Path

from cryptoml.errors import DataError


def count_lines(path: Path) -> int:
    """The number of lines; raises DataError without the file."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.", hint="check the path")
    return len(path.read_text().splitlines())
'''
COMMAND = '''
"""`cryptoml count-lines`."""

from pathlib import Path
from typing import Annotated, TypedDict

import typer

from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure


class LinesDocument(TypedDict):
    """The count."""

    lines: int


def count_lines(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File to read.")],
    at_least: Annotated[int, typer.Option(metavar="N", help="Exit with 6 below this number.")] = 0,
) -> Outcome[LinesDocument]:
    """Count the lines of a file.

    Example: cryptoml count-lines data/raw/sim.csv
    """
    from cryptoml.cli.console import print_lines
    from cryptoml.workflows.count_lines import count_lines as count

    lines = count(path)
    failure = Failure(6, f"{lines} lines, fewer than {at_least}.") if lines < at_least else None
    return Outcome({"lines": lines}, lambda: print_lines([f"{lines} lines"]), failure)
'''
LINE = '    "monitor": "Forecasts",\n'


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package with an additional command, to a folder with a file of two lines."""
    folder = tmp_path_factory.mktemp("tree")
    package = folder / "cryptoml"
    shutil.copytree(Path(cryptoml.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "workflows" / "count_lines.py").write_text(WORKFLOW)
    (package / "cli" / "commands" / "count_lines.py").write_text(COMMAND)
    app = package / "cli" / "app.py"
    text = app.read_text()
    assert text.count(LINE) == 1
    app.write_text(text.replace(LINE, f'{LINE}    "count-lines": "Files",\n'))
    (folder / "two.txt").write_text("1\n2\n")
    return folder


def run(tree: Path, *arguments: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "cryptoml", *arguments],
        cwd=tree,
        env={**clean_environ(tree / "home"), "PYTHONPATH": str(tree), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_new_command_is_in_its_help_group(tree: Path):
    assert "\nFiles:\n  count-lines     Count the lines of a file.\n" in run(tree, "--help").out
    shown = run(tree, "count-lines", "--help").out
    assert "--json" in shown
    assert shown.endswith("Example:\n  cryptoml count-lines data/raw/sim.csv\n")


def test_the_new_command_prints_its_result(tree: Path):
    done = run(tree, "count-lines", "two.txt")
    assert (done.code, done.out, done.err) == (0, "2 lines\n", "")
    done = run(tree, "count-lines", "two.txt", "--json")
    assert done.code == 0
    assert json.loads(done.out) == {"schema": "cryptoml.count-lines/1", "ok": True, "result": {"lines": 2}}


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "result"),
    [
        (["absent.txt"], 4, "data", None),
        (["two.txt", "--at-least", "3"], 6, "check_failed", {"lines": 2}),
        (["two.txt", "--at-least", "many"], 2, "usage", None),
        ([], 2, "usage", None),
    ],
)
def test_errors_of_the_new_command_have_exit_codes_and_json(tree: Path, arguments, code, kind, result):
    done = run(tree, "count-lines", *arguments, "--json")
    assert done.code == code
    document = json.loads(done.out)
    assert document["schema"] == "cryptoml.count-lines/1"
    assert (document["ok"], document["error"]["kind"], document.get("result")) == (False, kind, result)
    assert done.err.startswith("cryptoml: ")
