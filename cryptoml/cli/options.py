"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None, typer.Option(help="YAML config; configs/default.yaml of the project when it is there.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override one key of the config: --set models.rf.n_estimators=300.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, the last one.")]
Wide = Annotated[bool, typer.Option("--wide", help="Show all columns, however narrow the terminal.")]
