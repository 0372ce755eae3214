"""Checks of Airflow, if it is installed: the DAGs parse, and a worker finds `cryptoml`."""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cryptoml.doctor.context import Context
from cryptoml.doctor.findings import Finding, check, error, ok, warning

# Programs that the wrapper of each task calls.
TOOLS = ("setpriv", "timeout", "flock")


@check("airflow")
def airflow(context: Context) -> Iterator[Finding]:
    """Airflow loads the DAGs, and a worker finds cryptoml."""
    folder = context.folder / "airflow" / "dags"
    installed = shutil.which("airflow")
    files = sorted(folder.glob("*.py")) if folder.is_dir() else []
    if installed is None and not files:
        yield ok("not installed, and no DAGs in this project")
        return
    for path in files:
        try:
            ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        except (SyntaxError, UnicodeDecodeError) as failure:
            yield error(f"{path.relative_to(context.folder)} does not parse: {failure}", "correct the file")
    dags = sum("DAG(" in path.read_text(encoding="utf-8", errors="replace") for path in files)
    if installed is None:
        yield ok(f"DAGs here: {dags}; Airflow is not installed")
        return
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if files and missing:
        yield error(
            f"the tasks of the DAGs need {', '.join(missing)}, which are not on the PATH",
            "install util-linux and coreutils; the DAGs run on Linux",
        )
    home = Path(context.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    dags_folder = Path(os.environ.get("AIRFLOW__CORE__DAGS_FOLDER", home / "dags"))
    if files and dags_folder.resolve() != folder.resolve() and not (dags_folder / files[0].name).exists():
        yield warning(
            f"Airflow loads DAGs from {dags_folder}, but those of the project are in {folder}",
            f"set AIRFLOW__CORE__DAGS_FOLDER={folder} for Airflow, or [core] dags_folder in airflow.cfg",
        )
    if shutil.which("cryptoml") is None:
        yield error(
            "cryptoml is not on the PATH of a worker started here", "put its environment's bin folder on the PATH"
        )
    else:
        yield ok(f"DAGs here: {dags}; airflow at {installed}")
