"""`cryptoml show`: the model card of a version, on the terminal or as an HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.commands.promote import LedgerEntry
from cryptoml.cli.options import DATA, NEWEST_DATA, OUTPUT, ConfigFile, Overrides
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.workflows.show import ModelCard


class CardFigureDocument(TypedDict):
    """A result on the hold-out."""

    value: float | None
    standard_error: Annotated[float | None, "empty if unknown"]


class ShowDocument(TypedDict):
    """The model card of a version."""

    model_name: Annotated[str, "name in the registry"]
    version: str
    stage: Annotated[str, "none, staging, production or archived"]
    aliases: list[str]
    market: Annotated[str, "symbol, interval and horizon"]
    description: str
    created: Annotated[str, "ISO, UTC"]
    run_id: str
    run_name: str
    dataset_version: str
    candles: Annotated[int | None, "of the data set"]
    train: Annotated[list[str], "first and last time of the training part, UTC"]
    holdout: Annotated[list[str], "first and last time of the hold-out, UTC"]
    figures: Annotated[dict[str, CardFigureDocument], "by the name of the metric"]
    gate: Annotated[str, "passed, or the reasons against it"]
    model_uri: Annotated[str, "for mlflow.pyfunc.load_model"]
    ledger: Annotated[list[LedgerEntry], "transitions and refusals of the version, oldest first"]
    faults: Annotated[list[str], "differences between the ledger and the registry"]


def show(
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="v3, latest, production or NAME@v3.")
    ] = "production",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write the card to an HTML file.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=DATA,
            show_default=NEWEST_DATA,
            help="Candles of the market, if there are several.",
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[ShowDocument]:
    """Show the model card of a version.

    Data, folds, results with standard errors, gate, transitions, and how to load the model.

    Example: cryptoml show v1 --html card.html
    """
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.reports.page import check_html_path
    from cryptoml.workflows.show import show as read_card

    if html is not None:
        check_html_path(html)
    settings, loaded = load_project_config(config, set_)
    card = read_card(settings, loaded.config, version, data=data, with_plots=html is not None)
    if html is not None:
        _write(card, html)
    return Outcome(card.to_dict(), lambda: _show(card, html))


def _write(card: ModelCard, path: Path) -> None:
    from cryptoml.reports.model_card import card_sections
    from cryptoml.reports.page import render_page, write_page

    sections = card_sections(card.to_dict(), card.figures, card.metadata, card.plots, tracking_uri=card.tracking_uri)
    write_page(path, render_page(_title(card), _subtitle(card), sections, notes=card.faults))


def _title(card: ModelCard) -> str:
    return f"{card.version.model_name} v{card.version.version}"


def _subtitle(card: ModelCard) -> str:
    stage = "in no stage" if card.stage == "none" else card.stage
    return f"{card.market}, {stage}, registered {card.created:%Y-%m-%d %H:%M} UTC, run {card.run.name}"


def _show(card: ModelCard, html: Path | None) -> None:
    from cryptoml.cli.console import print_lines, print_result_lines
    from cryptoml.cli.tables import print_columns
    from cryptoml.reports.model_card import data_sentences, figure_columns, fold_columns, ledger_columns

    document = card.to_dict()
    print_lines([_title(card), _subtitle(card), "", *data_sentences(document, card.metadata)])
    print_columns(figure_columns(card.figures, only_main=True), title="results on the hold-out")
    folds = fold_columns(card.metadata.get("folds", ()))
    if folds:
        print_columns(folds, title="folds")
    ledger = ledger_columns(document["ledger"])
    if ledger:
        print_columns(ledger, title="transitions")
    lines = [f"gate: {document['gate'] or 'not asked'}"]
    lines += [f"mismatch: {fault}" for fault in card.faults]
    print_lines([*lines, f"load it: cryptoml predict --model {card.version.model_name}@v{card.version.version}"])
    if html is not None:
        print_result_lines([str(html)])
