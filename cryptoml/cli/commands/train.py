"""`cryptoml train`: train and track models, and register the best one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptoml.cli.options import (
    DATA,
    NEWEST_DATA,
    CandleInterval,
    ColumnNames,
    ConfigFile,
    Overrides,
    Sheet,
    SymbolName,
    TimeZone,
    Wide,
    config_key,
    horizon_overrides,
    model_overrides,
    reading_overrides,
    split_names,
)
from cryptoml.cli.outcome import Outcome
from cryptoml.cli.train_documents import MarketsDocument, TrainDocument

if TYPE_CHECKING:
    from cryptoml.workflows.training.results import TrainResult


FITS = "Fits"


class Engine(StrEnum):
    """Where fits run."""

    local = "local"
    dask = "dask"


def train(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", show_default=False, help="More files for --data, as a shell lists them."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=DATA,
            show_default=NEWEST_DATA,
            help="Raw candles or a processed data set; a folder or several files: one training per market.",
        ),
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL,...",
            rich_help_panel=DATA,
            help="Markets to train, such as BTC/USDT,ETH/USDT: their newest files under data/.",
        ),
    ] = None,
    pool: Annotated[
        bool,
        typer.Option("--pool", rich_help_panel=DATA, help="Train one model on all markets together."),
    ] = False,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            rich_help_panel="Models",
            help=f"Models to train, such as rf,ridge. {config_key('training.models')}",
        ),
    ] = None,
    horizons: Annotated[
        str | None,
        typer.Option(
            metavar="N,...",
            rich_help_panel="Models",
            help=f"Horizons of the model in candles, such as 1,6,24. {config_key('target.prediction_horizon')}",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            rich_help_panel="Models",
            help=f"Where xgb grows its trees: cpu or cuda. {config_key('models.xgb.device')}",
        ),
    ] = None,
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache",
            rich_help_panel=FITS,
            help="Repeat all fits instead of reusing those of earlier trainings.",
        ),
    ] = False,
    engine: Annotated[
        Engine | None,
        typer.Option(
            metavar="local|dask",
            rich_help_panel=FITS,
            help="Where fits run: here, or on the workers of a Dask cluster. [env: CRYPTOML_ENGINE]",
        ),
    ] = None,
    dask_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=FITS,
            help="Dask scheduler, such as tcp://host:8786. [env: CRYPTOML_DASK_ADDRESS]",
        ),
    ] = None,
    columns: ColumnNames = None,
    symbol: SymbolName = None,
    interval: CandleInterval = None,
    timezone: TimeZone = None,
    sheet: Sheet = None,
    wide: Wide = False,
    config: ConfigFile = None,
    set_: Overrides = None,
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            rich_help_panel="Parallel trainings",
            help="Maximum wait for a training on the same data; then exit code 5.",
        ),
    ] = 0.0,
    job: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel="Parallel trainings",
            help="Name of the job, for retries: deliver the runs of an earlier try instead of repeating them.",
        ),
    ] = None,
) -> Outcome[TrainDocument | MarketsDocument]:
    """Train models and register the best one.

    All models use the same hold-out and folds, and every run is tracked. The best model is registered if it passes
    the gate; otherwise the exit code is 6. Several markets are trained side by side, each with its own folds, best
    model and registered model; one that fails stops no other. With --pool they share one model.

    Example: cryptoml train --data data/raw/sim.csv --models ridge,xgb
    """
    from cryptoml.cli.console import listening
    from cryptoml.cli.markets import markets_outcome
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.data.market_files import find_files, find_symbols
    from cryptoml.data.project_files import find_data
    from cryptoml.errors import UsageError
    from cryptoml.workflows.training.request import TrainRequest
    from cryptoml.workflows.training.resume import keep_undelivered, resume
    from cryptoml.workflows.training.train import train_markets, train_pool

    chosen = model_overrides(models)
    if device is not None:
        chosen.append(f"models.xgb.device={json.dumps(device)}")
    chosen += horizon_overrides(horizons)
    chosen += reading_overrides(columns=columns, symbol=symbol, interval=interval, timezone=timezone, sheet=sheet)
    settings, loaded = load_project_config(config, [*(set_ or []), *chosen])
    cluster = {"engine": engine and engine.value, "dask_address": dask_address}
    settings = settings.model_copy(update={name: value for name, value in cluster.items() if value is not None})
    found = [
        *find_files([*(data or []), *(files or [])]),
        *find_symbols(settings.project_dir, split_names(symbols)),
    ] or [find_data(settings.project_dir)]
    if job is not None and (pool or len(found) > 1):
        raise UsageError("--job is for one market.", hint="start one command per market")
    requests = [TrainRequest(path, settings, loaded, wait_s=wait, use_cache=not no_cache) for path in found]
    with listening() as listener:
        done = resume(settings, loaded, found[0], job, on_event=listener) if job is not None else None
        if done is not None:
            return Outcome(done.document, lambda: _show_resumed(done.document), done.failure)
        if pool:
            result = train_pool(requests, on_event=listener)
        else:
            markets = train_markets(requests, on_event=listener)
            if len(markets) > 1:
                return markets_outcome(markets, wide=wide)
            result = markets[0].result()
    if job is not None:
        keep_undelivered(settings, loaded, job, result)
    return Outcome(result.to_dict(), lambda: _show(result, wide=wide), result.failure(), failure_shown=True)


def _show_resumed(document: Mapping[str, Any]) -> None:
    from cryptoml.cli.console import print_lines

    lines = [f"training {document['training_id']} was finished by an earlier try; its runs are delivered now"]
    if document["registered"]:
        lines.append(f"registered: {document['model_name']} v{document['version']}")
    print_lines(lines)


def _show(result: TrainResult, *, wide: bool) -> None:
    from cryptoml.cli.console import print_lines
    from cryptoml.cli.markets import market_columns
    from cryptoml.cli.tables import print_columns
    from cryptoml.cli.training_table import result_columns

    title = f"{result.symbol} {result.interval}, {result.n_rows:,} rows of {result.source}"
    hidden = print_columns(result_columns(result), title=title, wide=wide)
    if result.markets:
        print_columns(market_columns(result.markets), title="the best model by market", wide=wide)
    lines = []
    if result.registered is not None:
        name, version = result.registered.model_name, result.registered.version
        lines.append(f"registered: {name} v{version} ({result.best.run_name if result.best else ''})")
    elif result.best is not None:
        lines += [f"not registered: {reason}" for reason in result.gate_reasons]
        if result.alternative is not None:
            lines.append(
                f"{result.alternative.model_type} would pass the gate; register it with: {result.register_command}"
            )
    lines += [f"note: {warning}" for warning in result.gate_warnings]
    lines += [f"failed: {row.model_type}: {row.error}" for row in result.models if row.error]
    if result.undelivered:
        lines.append(
            f"not delivered: {result.undelivered} The runs are kept in the journal; deliver them with: cryptoml sync"
        )
    lines.append(f"runs: experiment {result.experiment} in {result.tracking_uri}")
    if result.tracking_uri.startswith("http") and result.best is not None and result.best.run_id:
        lines.append(f"best run: {result.tracking_uri.rstrip('/')}/#/runs/{result.best.run_id}")
    if result.tracking_uri.startswith("sqlite:"):
        lines.append("show them with: cryptoml compare, cryptoml ui")
    if hidden:
        lines.append("some columns are hidden: show them with --wide or --json, or with cryptoml compare")
    print_lines(lines)
