"""Options that many commands share, and the notes in --help on where else a value may come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Groups of options in --help.
DATA = "Data"
CONFIGURATION = "Configuration"
OUTPUT = "Output"
NEWEST_DATA = "newest file below data/"


def config_key(key: str) -> str:
    """The note that an option stands for a key of the config, which has an environment variable as well."""
    section, _, name = key.partition(".")
    return f"[config: {key}; env: CRYPTOML_{section.upper()}__{name.upper()}]"


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=CONFIGURATION,
        show_default="configs/default.yaml if it exists",
        help="YAML config.",
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
    bool, typer.Option("--wide", rich_help_panel=OUTPUT, help="Show all columns, however narrow the terminal.")
]
