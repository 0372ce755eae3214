"""The documents match the code: generated pages, commands, options, links and file names."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from cryptoml.cli.app import app
from cryptoml.doctor.run import all_checks
from tools.reference import PAGES, REPOSITORY

DOCUMENTS = sorted(
    REPOSITORY / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.split()
)  # fmt: skip
EACH_DOCUMENT = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_up_to_date(page):
    assert (REPOSITORY / page).read_text() == PAGES[page](), "make docs"


def test_every_command_is_in_the_readme_and_has_help():
    readme = (REPOSITORY / "README.md").read_text()
    rows = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `cryptoml ")]
    shown = {name for row in rows for name in re.findall(r"`cryptoml ([a-z-]+)`", row)}
    assert shown == set(COMMANDS)
    assert all(command.help for command in COMMANDS.values())


def test_every_key_and_option_has_a_description():
    for text in (make() for make in PAGES.values()):
        assert [line for line in text.splitlines() if line.endswith("|  |")] == []


@EACH_DOCUMENT
def test_links_refer_to_existing_files_and_headings(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if heading:
            assert heading in anchors(file), target


@EACH_DOCUMENT
def test_files_and_tests_named_in_a_document_exist(path):
    for name in re.findall(
        r"`((?:tests|cryptoml|docs|airflow|benchmarks|tools)/[\w./-]+(?:::\w+)?)`", path.read_text()
    ):
        if re.fullmatch(r"cryptoml/\d+", name):
            # A schema of the JSON output, not a path.
            continue
        file, _, test = name.partition("::")
        assert (REPOSITORY / file).exists(), name
        assert not test or f"def {test}(" in (REPOSITORY / file).read_text(), name


@EACH_DOCUMENT
def test_commands_in_a_document_exist_with_their_options(path):
    for command, options in shown_commands(path.read_text()):
        known = {option for param in COMMANDS[command].params for option in (*param.opts, *param.secondary_opts)}
        assert options <= known | {"--help"}, f"cryptoml {command}: {options - known}"


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a Markdown page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shown_commands(text: str) -> list[tuple[str, set[str]]]:
    """Return each cryptoml command in code, with its long options."""
    text = text.replace("\\\n", " ")
    lines = [*re.findall(r"^\$ (.+)", text, re.MULTILINE), *re.findall(r"`((?:env [^`]+ )?cryptoml [^`\n]+)`", text)]
    found = []
    for part in (part for line in lines for part in re.split(r"&&|\||;", line)):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            continue  # half of a quoted text that holds a separator
        after = words[words.index("cryptoml") + 1 :] if "cryptoml" in words else []
        names = [word for word in after if word in COMMANDS]
        if names:
            found.append((names[0], {word.partition("=")[0] for word in after if word.startswith("--")}))
    return found


def test_checks_named_on_the_troubleshooting_page_exist():
    text = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
    named = {
        name
        for found in re.findall(r"\[(`[a-z-]+`(?:, *`[a-z-]+`)*)\]", text)
        for name in re.findall(r"[a-z-]+", found)
    }
    assert len(named) > 10
    assert named <= {spec.name for spec in all_checks()}
