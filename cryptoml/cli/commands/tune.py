"""`cryptoml tune`: search better parameters on the training folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import DATA, NEWEST_DATA, OUTPUT, ConfigFile, Overrides, model_overrides
from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure

if TYPE_CHECKING:
    from cryptoml.workflows.tune import TuneResult

SEARCH = "Search"


class TuningTrial(TypedDict):
    """Parameters that were tried."""

    number: Annotated[int, "the first one has the configured parameters"]
    params: dict[str, float | int]
    skill: Annotated[float | None, "on the folds: reduction of the mean squared error of returns"]
    state: Annotated[str, "complete, or pruned"]
    n_folds: Annotated[int, "folds that were scored"]


class TunedModelDocument(TypedDict):
    """A tuned model."""

    model_type: str
    study: Annotated[str, "name of the file below .cryptoml/tuning/"]
    trials: list[TuningTrial]
    n_resumed: Annotated[int, "trials of an earlier, interrupted search"]
    best_trial: int
    params: Annotated[dict[str, float | int | str | None], "best parameters, with those that were not tuned"]
    folds_skill: Annotated[float | None, "of the best trial"]
    default_folds_skill: Annotated[float | None, "of the configured parameters"]
    default_skill: Annotated[float | None, "hold-out skill of the configured parameters"]
    tuned_skill: Annotated[float | None, "hold-out skill of the best parameters"]
    p_value: Annotated[float | None, "Diebold-Mariano test between both on the hold-out"]
    better: Annotated[bool, "whether the tuned parameters are better there, beyond chance"]
    sentence: str


class TuneDocument(TypedDict):
    """A search."""

    source: Annotated[str, "candle file"]
    symbol: str
    interval: str
    experiment: Annotated[str, "experiment of the runs of the search"]
    output: Annotated[str, "config file with the best parameters"]
    models: list[TunedModelDocument]
    undelivered: Annotated[str | None, "why the runs are in the journal"]


def tune(
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=DATA, show_default=NEWEST_DATA, help="Candles to tune on."),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", rich_help_panel=SEARCH, show_default="those of the config", help="Models to tune."
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            min=1, max=10_000, metavar="N", rich_help_panel=SEARCH, help="Trials per model, with earlier ones."
        ),
    ] = 50,
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            rich_help_panel=SEARCH,
            show_default="none",
            help="Start no more trials after this time, such as 30m; a repeated call continues.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", rich_help_panel=OUTPUT, help="Config file to write."),
    ] = Path("configs/tuned.yaml"),
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[TuneDocument]:
    """Search better parameters of models.

    Tries parameters on the training folds with Optuna, beginning with the configured ones, and writes the best ones to
    a config file for cryptoml train. The hold-out, which the search does not use, says what they are worth.

    Example: cryptoml tune --models ridge --trials 8 --output configs/tuned.yaml
    """
    from cryptoml.cli.console import listening
    from cryptoml.cli.durations import parse_duration
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.workflows.tune import TuneRequest
    from cryptoml.workflows.tune import tune as search_parameters

    timeout_s = parse_duration("--timeout", timeout) if timeout is not None else None
    settings, loaded = load_project_config(config, [*(set_ or []), *model_overrides(models)])
    request = TuneRequest(settings, loaded, data, output, trials, timeout_s)
    with listening() as on_event:
        result = search_parameters(request, on_event=on_event)
    failure = Failure(5, f"not delivered: {result.undelivered}", "cryptoml sync") if result.undelivered else None
    return Outcome(result.to_dict(), lambda: _show(result), failure)


def _show(result: TuneResult) -> None:
    from cryptoml.cli.console import print_lines, print_result_lines, print_table

    for one in result.models:
        default, best = one.search.default, one.search.best
        names = list(best.params)
        rows = [
            ["configured", *(f"{default.params[name]:g}" for name in names), f"{100 * default.skill:+.3f}",
             f"{100 * one.holdout.default_skill:+.3f}"],
            ["tuned", *(f"{one.params[name]:g}" for name in names), f"{100 * best.skill:+.3f}",
             f"{100 * one.holdout.tuned_skill:+.3f}"],
        ]  # fmt: skip
        n_pruned = sum(trial.state == "pruned" for trial in one.search.trials)
        title = f"{one.model_type}: {len(one.search.trials)} trials, {n_pruned} of them pruned"
        print_table(("", *names, "return skill % (folds)", "skill % (hold-out)"), rows, title=title, left=1)
    print_lines([one.sentence for one in result.models])
    print_lines([f"runs: experiment {result.experiment}", f"use it with: cryptoml train --config {result.output}"])
    print_result_lines([str(result.output)])
