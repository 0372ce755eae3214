"""What a training runs on: the Python version, the platform and the installed packages."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

# Packages whose version may change a digit of a result.
NUMERIC_PACKAGES = (
    "cryptoml",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scikit-learn-intelex",
    "xgboost",
)


@cache
def environment() -> dict[str, Any]:
    """Return the Python version, the platform, and the version of every installed distribution."""
    import platform
    import sys

    found: dict[str, str] = {}
    for folder in sys.path:
        # The folder name contains name and version; reading all metadata files takes a second.
        for one in sorted(Path(folder or ".").glob("*.dist-info")):
            name, _, version = one.name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(name.replace("_", "-"), version)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found[name] for name in sorted(found, key=str.lower)},
    }
