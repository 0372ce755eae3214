"""`cryptoml train`: candles to a tracked, registered model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides

if TYPE_CHECKING:
    from cryptoml.workflows.training.results import ModelRow, TrainResult


def train(
    data: Annotated[
        Path | None,
        typer.Option(help="Raw candles or a processed file; the newest file below data/ when not given."),
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="Comma-separated models, such as rf,xgb; those of the config when not given.")
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds to wait while another training of the same data is at work; then exit 5."),
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Train models on one split and one set of folds, track every run, register the best that passes the gate."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import listening, print_json_last
    from cryptoml.workflows.training.inputs import find_data
    from cryptoml.workflows.training.train import TrainRequest
    from cryptoml.workflows.training.train import train as train_models

    names = [name.strip() for name in (models or "").split(",") if name.strip()]
    chosen = [f"training.models={json.dumps(names)}"] if models is not None else []
    settings, loaded = configured(config, [*(set_ or []), *chosen])
    request = TrainRequest(data or find_data(settings.project_dir), settings, loaded, wait_s=wait)
    with listening() as listener:
        result = train_models(request, on_event=listener)
    if as_json:
        print_json_last(result.to_dict())
    else:
        _show(result)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


COLUMNS = (
    "model", "cv RMSE", "± std", "test RMSE", "MAE", "MAPE %", "R2", "skill %", "direction %", "vs persistence",
    "p", "time s",
)  # fmt: skip


def _show(result: TrainResult) -> None:
    from cryptoml.cli.console import print_lines, print_table

    print_table(
        COLUMNS,
        [_cells(row, best=result.best) for row in result.models],
        title=f"{result.symbol} {result.interval}, {result.n_rows:,} rows of {result.source}",
    )
    lines = []
    if result.registered is not None:
        name, version = result.registered.model_name, result.registered.version
        lines.append(f"registered: {name} v{version} ({result.best.run_name if result.best else ''})")
    elif result.best is not None:
        lines += [f"not registered: {reason}" for reason in result.gate_reasons]
    lines += [f"note: {warning}" for warning in result.gate_warnings]
    lines += [f"failed: {row.model_type}: {row.error}" for row in result.models if row.error]
    if result.undelivered:
        lines.append(f"not delivered: {result.undelivered} Nothing is lost; deliver with: cryptoml sync")
    lines.append(f"runs: experiment {result.experiment} in {result.tracking_uri}")
    if result.tracking_uri.startswith("sqlite:"):
        lines.append("look: cryptoml compare, cryptoml ui")
    print_lines(lines)


def _cells(row: ModelRow, *, best: ModelRow | None) -> list[str]:
    from cryptoml.cli.numbers import price
    from cryptoml.evaluation.figures import figure

    name = f"{row.model_type} *" if best is not None and row.model_type == best.model_type else row.model_type
    if row.error:
        return [name, "failed", *[""] * (len(COLUMNS) - 2)]
    m = row.metric
    baseline = row.is_baseline
    return [
        name,
        price(m("cv_rmse_mean")),
        price(m("cv_rmse_std")),
        price(m("test_rmse")),
        price(m("test_mae")),
        figure(m("test_mape"), ".3f"),
        figure(m("test_r2_score"), ".4f"),
        "" if baseline else figure(100 * m("skill"), "+.3f"),
        "" if baseline else figure(100 * m("directional_accuracy"), ".1f"),
        "" if baseline else str(row.verdict),
        "" if baseline else figure(m("dm_p_value"), ".3f"),
        figure(m("training_time_seconds"), ".1f"),
    ]
