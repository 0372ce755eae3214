"""The `.dvc` files of a project, in the work tree or at a git revision: which file is pinned to which bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptoml.errors import CryptomlError, DataError, UsageError
from cryptoml.remotes import git_remote
from cryptoml.remotes.dvc_transfer import Pin

SKIPPED = (".git", ".dvc", ".venv", "node_modules")


def pins_at(folder: Path, revision: str | None = None) -> list[Pin]:
    """All pins, by path. Raises UsageError for an unknown revision, DataError for a `.dvc` file that is none."""
    texts = _in_work_tree(folder) if revision is None else _at_revision(folder, revision)
    return sorted((pin for name, text in texts for pin in read_pins(name, text)), key=lambda pin: pin.path)


def read_pins(name: Path, text: str) -> list[Pin]:
    """The pins in one `.dvc` file; `name` is its path relative to the project."""
    import yaml

    try:
        document = yaml.safe_load(text)
        return [Pin(name.parent / one["path"], str(one["md5"]), one.get("size")) for one in document["outs"]]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        mend = "settle the conflict in it" if "<<<<<<<" in text else f"git checkout -- {name}"
        raise DataError(f"{name}: is damaged.", mend=mend) from error


def _in_work_tree(folder: Path) -> Iterator[tuple[Path, str]]:
    for place in sorted(folder.iterdir()):
        if place.name in SKIPPED:
            continue
        found = place.rglob("*.dvc") if place.is_dir() else [place] if place.suffix == ".dvc" else []
        for path in found:
            if path.is_file():
                yield path.relative_to(folder), path.read_text(encoding="utf-8", errors="replace")


def _at_revision(folder: Path, revision: str) -> Iterator[tuple[Path, str]]:
    try:
        git_remote.run(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except CryptomlError:
        raise UsageError(
            f"{revision}: git knows no such revision.", mend="git fetch, then git log shows them"
        ) from None
    names = git_remote.run(folder, "ls-tree", "-r", "--name-only", "-z", revision, "--", ".").split("\0")
    for name in names:
        if name.endswith(".dvc"):
            yield Path(name), git_remote.run(folder, "show", f"{revision}:./{name}")
