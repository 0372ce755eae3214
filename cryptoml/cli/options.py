"""Options shared by several commands, and the --help notes on config keys and environment variables."""

from __future__ import annotations

import json
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


def reading_overrides(**options: str | None) -> list[str]:
    """Return the overrides of config keys `data.NAME` for the given options; several columns are a list."""
    found = []
    for name, text in options.items():
        if text is not None:
            value = split_names(text) if name == "columns" else text
            found.append(f"data.{name}={json.dumps(value)}")
    return found


def model_overrides(text: str | None) -> list[str]:
    """Return the override of the config key for models such as rf,ridge; none if the option is not given."""
    return [] if text is None else [f"training.models={json.dumps(split_names(text))}"]


def horizon_overrides(text: str | None) -> list[str]:
    """Return the overrides of config keys for horizons such as 1,6,24; the first is the main one."""
    names = split_names(text)
    if not names:
        return []
    return [f"target.prediction_horizon={names[0]}", f"target.further_horizons={json.dumps(names[1:])}"]


READING = "Reading the file"
ColumnNames = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="NAME,...",
        rich_help_panel=READING,
        help="All columns in their order, such as timestamp,open,high,low,close,volume, or ROLE=NAME for some. "
        + config_key("data.columns"),
    ),
]
SymbolName = Annotated[
    str | None,
    typer.Option(
        "--symbol",
        metavar="SYMBOL",
        rich_help_panel=READING,
        help=f"Market of the file, or the one to read of several. {config_key('data.symbol')}",
    ),
]
CandleInterval = Annotated[
    str | None,
    typer.Option(
        "--interval",
        metavar="INTERVAL",
        rich_help_panel=READING,
        help=f"Candle interval, such as 1h, if it cannot be derived. {config_key('data.interval')}",
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        rich_help_panel=READING,
        help=f"Zone of dates without one, such as Europe/Berlin; UTC if not given. {config_key('data.timezone')}",
    ),
]
Sheet = Annotated[
    str | None,
    typer.Option(
        "--sheet",
        metavar="NAME",
        rich_help_panel=READING,
        help=f"Sheet of an Excel file. {config_key('data.sheet')}",
    ),
]
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
