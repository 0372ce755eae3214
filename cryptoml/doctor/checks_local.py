"""Checks of this machine: Python, packages, settings, disk."""

from __future__ import annotations

import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from cryptoml.doctor.context import SECRET_NAMES, Context
from cryptoml.doctor.findings import Finding, check, error, ok, warning
from cryptoml.settings import known_variables, nearest_variable
from cryptoml.system.environment import is_writable

# Distribution and module; find_spec does not import the module.
PACKAGES = {
    "mlflow": "mlflow", "dagshub": "dagshub", "dvc": "dvc", "dvc-http": "dvc_http", "scikit-learn": "sklearn",
    "xgboost": "xgboost", "pandas": "pandas", "matplotlib": "matplotlib", "fg-data-profiling": "data_profiling",
    "skops": "skops",
}  # fmt: skip
LEAST_FREE_GB, GOOD_FREE_GB = 0.5, 3.0


@check("python")
def python(context: Context) -> Iterator[Finding]:
    """Python runs in a virtual environment."""
    yield ok(f"Python {platform.python_version()} at {sys.prefix}")
    if sys.prefix == sys.base_prefix:
        yield warning("packages are installed system-wide", "make setup, or python3 -m venv .venv")


@check("packages")
def packages(context: Context) -> Iterator[Finding]:
    """All required packages are installed."""
    missing = [name for name, module in PACKAGES.items() if find_spec(module) is None]
    if missing:
        yield error(f"not installed: {', '.join(missing)}", f"make setup (or: pip install {' '.join(missing)})")
    else:
        shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("mlflow", "dvc", "scikit-learn", "pandas"))
        yield ok(f"{len(PACKAGES)} packages, including {shown}")


@check("settings")
def settings(context: Context) -> Iterator[Finding]:
    """The settings are valid; shows their sources, with secrets masked."""
    if context.settings is None:
        failure = context.settings_error
        yield error(failure.fact if failure else "invalid", failure.hint if failure else "")
        return
    shown = []
    for name in known_variables():
        value = context.value_of(name)
        if value:
            text = "***" if SECRET_NAMES.search(name) else value
            shown.append(f"{name}={text} ({context.origin_of(name)})")
    yield ok(f"project {context.folder}; " + (", ".join(shown) or "all defaults: MLflow on SQLite, no account"))
    for name in ("MLFLOW_TRACKING_URI", "DAGSHUB_REPO", "DAGSHUB_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        outside, inside = context.environ.get(name), context.dotenv.get(name)
        if outside and inside and outside != inside:
            what = "different from .env" if SECRET_NAMES.search(name) else f"{outside}, but {inside} in .env"
            yield warning(
                f"{name} in the environment is {what}; the environment takes precedence",
                f"remove {name} from the environment",
            )


@check("unknown-variables")
def unknown_variables(context: Context) -> Iterator[Finding]:
    """No CRYPTOML_* variable is mistyped."""
    known = list(known_variables())
    unknown = [
        name for name in context.environ if name.startswith("CRYPTOML_") and "__" not in name and name not in known
    ]
    for name in unknown:
        near = nearest_variable(name)
        yield warning(
            f"{name} in the environment is not a setting and is ignored",
            f"did you mean {near}?" if near else f"unset {name}",
        )
    if not unknown:
        yield ok("all CRYPTOML_* variables are valid")


@check("secrets")
def secrets(context: Context) -> Iterator[Finding]:
    """Files with secrets are private."""
    has_files = False
    for name in (".env", ".env.bak", ".dvc/config.local"):
        path = context.folder / name
        if not path.is_file():
            continue
        has_files = True
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield warning(f"{name} is readable by others (mode {mode:04o})", f"chmod 600 {name}", _closer(path))
        else:
            yield ok(f"{name} is private (mode {mode:04o})")
    if not has_files:
        yield ok("no such files")


@check("disk")
def disk(context: Context) -> Iterator[Finding]:
    """There is enough disk space."""
    free = shutil.disk_usage(context.folder).free / 1e9
    if not is_writable(context.folder):
        yield error(f"{context.folder} is not writable", "make the folder writable")
    elif free < LEAST_FREE_GB:
        yield error(f"only {free:.1f} GB free in {context.folder}", "free some space: dvc gc -w, old .cryptoml runs")
    elif free < GOOD_FREE_GB:
        yield warning(f"only {free:.1f} GB free in {context.folder}", "free some space")
    else:
        yield ok(f"{free:.0f} GB free")


def _closer(path: Path) -> Callable[[], None]:
    def close() -> None:
        path.chmod(0o600)

    return close
