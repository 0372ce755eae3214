"""The database schema revisions of the installed MLflow, read from its migration files without running them."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from cryptoml.tracking.store.quiet import import_mlflow

ASSIGNMENT = re.compile(r"^(revision|down_revision)\b[^=\n]*=[ \t]*(.+)$", re.MULTILINE)


@cache
def known_revisions() -> tuple[str, frozenset[str]]:
    """Return the latest schema revision of the installed mlflow, and all that it knows."""
    return read_revisions(_migrations() / "versions") or _revisions_by_alembic()


def use_for_schema_check() -> None:
    """Let MLflow compare the schema of a database with `known_revisions`.

    On each opening, MLflow compares the revision in the database with the latest one. It finds the latest by having
    alembic import all its migrations (0.3 s of CPU time). The comparison itself is left to MLflow.
    """
    import_mlflow()
    from mlflow.store.db import utils

    # Another version of MLflow may check in another way.
    if hasattr(utils, "_get_latest_schema_revision"):
        utils._get_latest_schema_revision = latest_revision


def latest_revision() -> str:
    """Return the latest schema revision of the installed mlflow."""
    return known_revisions()[0]


def read_revisions(folder: Path) -> tuple[str, frozenset[str]] | None:
    """Return the latest and all revisions of the migration files in `folder`; None if they are no simple chain."""
    revisions: set[str] = set()
    parents: set[str] = set()
    for file in folder.glob("[!_]*.py"):
        values = dict(ASSIGNMENT.findall(file.read_text(encoding="utf-8")))
        try:
            revision, parent = (ast.literal_eval(values[name]) for name in ("revision", "down_revision"))
        except (KeyError, ValueError, SyntaxError):
            return None
        if not isinstance(revision, str) or not isinstance(parent, str | None):
            return None
        revisions.add(revision)
        if parent is not None:
            parents.add(parent)
    heads = revisions - parents
    return (heads.pop(), frozenset(revisions)) if len(heads) == 1 and parents < revisions else None


def _revisions_by_alembic() -> tuple[str, frozenset[str]]:
    from alembic.script import ScriptDirectory

    import_mlflow()
    scripts = ScriptDirectory(str(_migrations()))
    return str(scripts.get_current_head()), frozenset(script.revision for script in scripts.walk_revisions())


def _migrations() -> Path:
    # find_spec does not import mlflow.
    package = find_spec("mlflow")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "store" / "db_migrations"
