"""`cryptoml train`: candles to a tracked, registered model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides, Wide

if TYPE_CHECKING:
    from cryptoml.evaluation.metrics import StoredMetric
    from cryptoml.reports.tables import Column
    from cryptoml.workflows.training.results import ModelRow, TrainResult


def train(
    data: Annotated[
        Path | None,
        typer.Option(help="Raw candles or a processed file; the newest file below data/ when not given."),
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="Comma-separated models, such as rf,xgb; those of the config when not given.")
    ] = None,
    wide: Wide = False,
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
    from cryptoml.data.project_files import find_data
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
        _show(result, wide=wide)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _show(result: TrainResult, *, wide: bool) -> None:
    from cryptoml.cli.console import print_lines
    from cryptoml.cli.tables import print_columns

    title = f"{result.symbol} {result.interval}, {result.n_rows:,} rows of {result.source}"
    hidden = print_columns(_columns(result), title=title, wide=wide)
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
    if hidden:
        lines.append("columns left out: show them with --wide or --json, or with cryptoml compare")
    print_lines(lines)


def _columns(result: TrainResult) -> list[Column]:
    from cryptoml.reports.tables import Column, metric_columns

    best = result.best.model_type if result.best else ""
    names = [f"{row.model_type} *" if row.model_type == best else row.model_type for row in result.models]
    return [
        Column("model", names, align="left"),
        *metric_columns(result.models, value=_value, verdict=_verdict),
    ]


def _verdict(row: ModelRow) -> str:
    if row.error:
        return "failed"
    return "" if row.is_baseline else str(row.verdict)


def _value(row: ModelRow, metric: StoredMetric) -> float | None:
    """The stored value; None for a failed model, and where the metric says nothing about persistence."""
    if row.is_baseline and not metric.of_persistence:
        return None
    return (row.metrics or {}).get(metric.name)
