"""Options shared by several commands, and the --help notes on config keys and environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Groups of options in --help.
DATA = "Data"
CONFIGURATION = "Configuration"
OUTPUT = "Output"
NEWEST_DATA = "newest file under data/"


def config_key(key: str) -> str:
    """Return the --help note that names the config key of an option and its environment variable."""
    section, _, name = key.partition(".")
    return f"[config: {key}; env: CRYPTOML_{section.upper()}__{name.upper()}]"


def split_names(text: str | None) -> list[str]:
    """Return the names of a comma-separated list."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=CONFIGURATION,
        show_default="configs/default.yaml if it exists",
        help="YAML config file.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        rich_help_panel=CONFIGURATION,
        help="Override a config key, such as models.rf.n_estimators=300; repeatable. [env: CRYPTOML_SECTION__KEY]",
    ),
]
Wide = Annotated[
    bool, typer.Option("--wide", rich_help_panel=OUTPUT, help="Show all columns, even if the terminal is narrow.")
]
