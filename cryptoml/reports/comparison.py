"""The comparison report: an HTML file with tables and Plotly charts that works offline."""

from __future__ import annotations

import json

from cryptoml.evaluation.backtest import TradingRules
from cryptoml.evaluation.comparison import RunComparison
from cryptoml.evaluation.metrics import table_metrics
from cryptoml.reports.backtest_chart import backtest_section
from cryptoml.reports.backtests import backtest_columns, backtest_sentences, rules_line
from cryptoml.reports.comparison_charts import charts, colours_of, shown_values
from cryptoml.reports.tables import pair_columns, parameter_columns, run_columns


def render(comparison: RunComparison, rules: TradingRules) -> str:
    """Render the report as HTML; the charts require `ComparedRun.details`. rules: of its backtests."""
    from importlib.resources import files

    import jinja2
    import plotly

    here = files("cryptoml.reports")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(here.joinpath("comparison.html.j2").read_text(encoding="utf-8"))
    sections = charts(comparison.runs)
    backtest = backtest_section(comparison, rules_line(rules))
    titles = {metric.name: metric.title for metric in table_metrics()}
    colours = colours_of(comparison.runs)
    values = [{"name": run.name, "colour": colours[run.run_id], "values": shown_values(run)} for run in comparison.runs]
    data = {
        "figures": {section.key: section.figure for section in (*sections, *([backtest] if backtest else []))},
        "metrics": {"titles": titles, "runs": values},
    }
    columns = [column for column in run_columns(comparison) if column.rank == 0 or any(column.cells)]
    return template.render(
        title=f"{len(comparison.runs)} runs of {comparison.experiment}",
        subtitle=_subtitle(comparison),
        runs=comparison.runs,
        columns=columns,
        differing=parameter_columns(comparison),
        pairs=pair_columns(comparison),
        level=comparison.level,
        notes=comparison.notes,
        sections=sections,
        backtest=backtest,
        backtests=backtest_columns(comparison),
        backtest_sentences=backtest_sentences(comparison, rules),
        metric_titles=titles,
        # A "<" in a string could end the script element.
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        plotly=files(plotly).joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8"),
        script=here.joinpath("comparison.js").read_text(encoding="utf-8"),
    )


def _subtitle(comparison: RunComparison) -> str:
    reference = next((row for row in comparison.runs if row.comparable), comparison.runs[0])
    params = reference.params
    horizon = params.get("prediction_horizon", "1")
    return (
        f"{params.get('symbol', '')} {params.get('interval', '')}, {horizon} candle{'' if horizon == '1' else 's'} "
        f"ahead, data set {reference.tags.get('dataset_version', '')[:24]}, {params.get('start_date', '')} to "
        f"{params.get('end_date', '')} UTC"
    )
