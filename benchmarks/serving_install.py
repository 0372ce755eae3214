"""How large the packages are that a stored model needs, and how long they take: `python -m benchmarks.serving_install`.

Each model's requirements are installed with uv into a fresh environment from an empty cache, so that every package is
downloaded. Needs a package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cryptoml.models.zoo import MODELS
from cryptoml.registry.stored_model import BASE_REQUIREMENTS, pinned

UV = Path(sys.executable).with_name("uv")


def install(requirements: list[str], folder: Path) -> tuple[float, int, float]:
    """Seconds to make the environment, packages in it, and their size in MB."""
    environ = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environ |= {"UV_CACHE_DIR": str(folder / "cache"), "VIRTUAL_ENV": str(folder / "env")}
    began = time.perf_counter()
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder / "env"], env=environ, check=True)
    # Without the overrides of this project's pyproject.toml, which a machine that serves a model does not have.
    subprocess.run([UV, "pip", "install", "--quiet", "--no-config", *requirements], env=environ, cwd=folder, check=True)
    seconds = time.perf_counter() - began
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    size = sum(path.lstat().st_size for path in packages.rglob("*") if not path.is_dir())
    return seconds, len(list(packages.glob("*.dist-info"))), size / 1e6


def main() -> None:
    """Print a row for each set of requirements."""
    models: dict[tuple[str, ...], list[str]] = {}
    for key, model in MODELS.items():
        if key != "persistence":
            models.setdefault(tuple(pinned({*BASE_REQUIREMENTS, *model.requirements})), []).append(key)
    print(f"{'models':<16}{'packages':>10}{'size':>12}{'install':>12}")
    for requirements, keys in models.items():
        with tempfile.TemporaryDirectory(prefix="cryptoml-serving-") as folder:
            seconds, packages, megabytes = install(list(requirements), Path(folder))
        print(f"{', '.join(keys):<16}{packages:>10}{megabytes:>9,.0f} MB{seconds:>10.1f} s", flush=True)


if __name__ == "__main__":
    main()
