"""Check raw candles against the quality gates and write the processed data set."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.errors import UsageError

if TYPE_CHECKING:
    from cryptoml.data.candles import Candles
    from cryptoml.data.cleaning.gates import GateResult
    from cryptoml.features.pipeline import FeaturePipeline

OUTPUT_SUFFIXES = (".parquet", ".csv", ".csv.gz")


@dataclass(frozen=True)
class Transformed:
    """The processed data set. path: None if a quality gate failed. gates: the result of each gate."""

    path: Path | None
    report_path: Path
    symbol: str
    interval: str
    candles: int
    first: str
    last: str
    n_features: int
    gates: tuple[GateResult, ...]

    @property
    def failures(self) -> list[str]:
        """One sentence per failed gate."""
        return [one.fact for one in self.gates if not one.passed]


def transform(source: Path, output: Path, config: Config, *, on_event: events.OnEvent = events.ignore) -> Transformed:
    """Read and check raw candles and write the quality report, and the data set if all gates pass.

    output: a file, or a folder for {name of source}.parquet. The output is deterministic. Raise UsageError for an
    unsuitable source or output, DataError for candles that cannot be read.
    """
    import pandas as pd

    from cryptoml.data.cleaning.gates import age_in_intervals, check_quality
    from cryptoml.data.processed import is_processed, write_processed
    from cryptoml.data.project_files import read_any
    from cryptoml.features.pipeline import configured_pipeline
    from cryptoml.system.files import translate_os_errors

    target = output_file(output, source)
    if source.is_file() and is_processed(source):
        raise UsageError(f"{source}: is already a processed data set.", hint="pass a file with raw candles")
    if target.resolve() == source.resolve():
        raise UsageError(f"{target}: the output is the input file.", hint="choose another file with -o")
    read = read_any(source, config)
    # Only the name, so that the folder does not change the data set.
    candles = replace(read, report=replace(read.report, source=source.name))
    for sentence in candles.report.summary():
        on_event(events.Info(sentence))
    age = age_in_intervals(candles.frame.index[-1], candles.interval.timedelta, now=pd.Timestamp.now(tz="UTC"))
    gates = tuple(check_quality(candles.report, config.quality, age_intervals=age))
    for gate in gates:
        fact = f"{gate.gate}: {gate.fact}"
        on_event(events.Info(f"passed: {fact}") if gate.passed else events.Warned(f"not passed: {fact}"))
    passed = all(gate.passed for gate in gates)
    pipeline = configured_pipeline(config.features, candles.interval.label)
    report_path = target.with_name(f"{_stem(target)}.quality.json")
    _write_report(report_path, candles, gates)
    if passed:
        features, values = _features_and_target(candles, pipeline, config)
        about = {
            "prediction_horizon": config.target.prediction_horizon,
            "feature_names": list(pipeline.feature_names),
        }
        with translate_os_errors(target):
            write_processed(target, candles, features, values, about=about)
    return Transformed(
        path=target if passed else None,
        report_path=report_path,
        symbol=candles.symbol,
        interval=candles.interval.label,
        candles=len(candles.frame),
        first=candles.report.start,
        last=candles.report.end,
        n_features=len(pipeline.feature_names),
        gates=gates,
    )


def output_file(output: Path, source: Path) -> Path:
    """Return the file to write: `output`, or a file in that folder named after `source`."""
    if output.name.endswith(OUTPUT_SUFFIXES) and not output.is_dir():
        return output
    if output.suffix and not output.is_dir() and output.suffix.lower() in (".pq", ".json", ".feather", ".gz", ".txt"):
        raise UsageError(f"{output}: unsupported file format for processed data.", hint="use a .parquet or .csv file")
    return output / f"{_stem(source)}.parquet"


def _features_and_target(candles: Candles, pipeline: FeaturePipeline, config: Config) -> tuple[Any, Any]:
    from cryptoml.data.grid import to_grid
    from cryptoml.data.interval import max_no_trade
    from cryptoml.features.pipeline import log_return_target

    longest = max_no_trade(candles.interval, config.data.max_no_trade_candles)
    grid = to_grid(candles.frame, candles.interval, max_no_trade_candles=longest)
    return pipeline.transform(grid), log_return_target(grid, config.target.prediction_horizon)


def _write_report(path: Path, candles: Candles, gates: tuple[GateResult, ...]) -> None:
    from cryptoml.system.files import translate_os_errors, write_atomically

    document = {
        "schema": "cryptoml.quality/1",
        "passed": all(gate.passed for gate in gates),
        "gates": [{**vars(gate), "passed": gate.passed} for gate in gates],
        "candles": candles.report.to_dict(),
    }
    with translate_os_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageError(f"{path.parent}: is not a folder.", hint="choose another folder with -o") from None
        write_atomically(path, json.dumps(document, indent=2, sort_keys=True) + "\n")


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name[: name.rindex(".")] if "." in name.lstrip(".") else name
