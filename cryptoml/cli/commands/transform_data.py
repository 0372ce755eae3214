"""`cryptoml transform-data`: raw candles through the quality gates to the processed data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides


def transform_data(
    path: Annotated[Path, typer.Argument(help="Raw candles.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder, or Parquet or CSV file; data/processed when not given."),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Check candles against the quality gates and write the processed data set; exit 4 when a gate is not passed."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import listening, print_json_last, print_result_lines
    from cryptoml.errors import DataError
    from cryptoml.workflows.transform_data import transform

    settings, loaded = configured(config, set_)
    with listening() as listener:
        result = transform(
            path, output or settings.project_dir / "data" / "processed", loaded.config, on_event=listener
        )
    if as_json:
        print_json_last(
            {
                "schema": "cryptoml.transform/1",
                "passed": result.path is not None,
                **{name: value for name, value in vars(result).items() if name != "gates"},
                "gates": [{**vars(gate), "passed": gate.passed} for gate in result.gates],
            }
        )
    elif result.path is not None:
        print_result_lines([str(result.path)])
    if result.path is None:
        raise DataError(
            f"{path}: {'; '.join(result.failures)}.",
            hint=f"see {result.report_path}; the limits are the keys quality.* of the config",
        )
