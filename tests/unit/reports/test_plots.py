"""The content of the plots, for all shapes of predictions."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.evaluation.forecasts import Forecasts
from cryptoml.evaluation.metrics import METRICS
from cryptoml.reports import style
from cryptoml.reports.plots import actual_vs_predicted, draw_all, feature_importance, folds, residuals

TOO_LARGE_BYTES = 300_000


@dataclass(frozen=True)
class Row:
    number: int
    train_start: pd.Timestamp
    train_end: pd.Timestamp
    validation_start: pd.Timestamp
    validation_end: pd.Timestamp


def made(
    n: int, *, freq: str = "1h", n_folds: int = 3, horizon: int = 1, strength: float = 0.02, still: bool = False
) -> tuple[pd.DataFrame, list[Row]]:
    """Return predictions of n candles with the last fifth as hold-out; strength 0 forecasts no change."""
    rng = np.random.default_rng(7)
    price = 30_000 * np.exp(np.cumsum(rng.standard_t(4, n + horizon) * (0.0 if still else 0.001)))
    now, actual = price[:n], price[horizon:]
    moved = np.log(actual / now)
    said = strength * (moved + rng.normal(0, 0.003, n))
    index = pd.date_range("2020-01-01", periods=n, freq=freq, tz="UTC", name="timestamp")
    frame = pd.DataFrame(
        {
            "part": "holdout",
            "price_now": now,
            "actual_price": actual,
            "forecast_price": now * np.exp(said),
            "lower_price": now * np.exp(said - 0.002),
            "upper_price": now * np.exp(said + 0.002),
            "actual_return": moved,
            "forecast_return": said,
            "raw_return": said,
            "expected_size": 0.001,
        },
        index=index,
    )
    cuts = np.linspace(0, int(0.8 * n), n_folds + 2).astype(int)
    rows = []
    for number in range(1, n_folds + 1):
        frame.iloc[cuts[number] : cuts[number + 1], 0] = f"fold_{number}"
        rows.append(
            Row(number, index[0], index[cuts[number] - 1], index[cuts[number]], index[cuts[number + 1]]),
        )
    return frame.iloc[cuts[1] :], rows


def held_out(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["part"] == "holdout"]


def scored(frame: pd.DataFrame) -> Forecasts:
    columns = ("price_now", "actual_price", "forecast_price", "actual_return", "forecast_return")
    return Forecasts(*(frame[name].to_numpy() for name in (*columns, "lower_price", "upper_price")))


def panel(figure: object, title: str) -> object:
    found = [axes for axes in figure.axes if axes.get_title(loc="left").startswith(title)]
    assert len(found) == 1, [axes.get_title(loc="left") for axes in figure.axes]
    return found[0]


IMPORTANCE = pd.Series({f"feature_{n}": (60 - n) / 1830 for n in range(60)})


def test_four_files_with_the_documented_names(tmp_path: Path) -> None:
    frame, rows = made(3000)
    written = draw_all(
        tmp_path,
        predictions=frame,
        importance=IMPORTANCE,
        fold_rows=rows,
        title="ridge, BTCUSDT 1h",
        subtitle="data set abc",
        timestamp="20200101-000000",
        interval_level=0.9,
    )
    names = {"actual_vs_predicted", "residuals", "intervals", "folds", "feature_importance"}
    assert {path.name for path in written} == {f"{name}_20200101-000000.png" for name in names}
    assert set(tmp_path.glob("*.*")) == set(written)
    for path in written:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
        assert (width, height) == (1430, 935)


@pytest.mark.parametrize("importance", [None, IMPORTANCE * 0, IMPORTANCE * np.nan])
def test_a_plot_without_data_is_not_written(tmp_path: Path, importance: pd.Series | None) -> None:
    frame, _ = made(200)
    written = draw_all(
        tmp_path,
        predictions=held_out(frame),
        importance=importance,
        fold_rows=[],
        title="",
        subtitle="",
        timestamp="t",
        interval_level=0.9,
    )
    assert [path.name for path in written] == ["actual_vs_predicted_t.png", "residuals_t.png", "intervals_t.png"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda: made(100),
        lambda: made(100, still=True),
        lambda: made(3000, strength=0.0),
        lambda: made(1000, freq="1D", horizon=5),
        lambda: made(9000, n_folds=20, horizon=24),
        lambda: made(500_000, freq="1min", n_folds=5),
    ],
    ids=["tiny", "constant price", "persistence", "daily", "many folds", "half a million"],
)
def test_all_shapes_of_predictions_give_small_files_without_warnings(
    tmp_path: Path, shape: Callable[[], tuple[pd.DataFrame, list[Row]]]
) -> None:
    frame, rows = shape()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = draw_all(
            tmp_path,
            predictions=frame,
            importance=None,
            fold_rows=rows,
            title="a",
            subtitle="b",
            timestamp="t",
            interval_level=0.9,
        )
    assert len(written) == 4
    assert all(path.stat().st_size < TOO_LARGE_BYTES for path in written)


def test_the_cumulative_gain_ends_at_the_metric() -> None:
    frame = held_out(made(9000, strength=0.1)[0])
    gain = panel(actual_vs_predicted(frame), "Cumulative reduction")
    ends = [float(line.get_ydata()[-1]) for line in gain.lines if len(line.get_ydata()) > 2]
    assert ends == [pytest.approx(100 * METRICS["return_r2"].compute(scored(frame)))]


def test_the_scores_in_the_plot_equal_the_metrics() -> None:
    frame = held_out(made(3000, strength=0.1)[0])
    forecasts = scored(frame)
    texts = [text.get_text() for text in panel(actual_vs_predicted(frame), "Return").texts]
    percent = {name: 100 * METRICS[name].compute(forecasts) for name in ("return_r2", "skill", "directional_accuracy")}
    assert texts == [
        f"return R2 % {percent['return_r2']:+.3f}, skill % {percent['skill']:+.3f}, "
        f"direction % {percent['directional_accuracy']:.1f}"
    ]


def test_persistence_is_labelled_no_change() -> None:
    figure = actual_vs_predicted(held_out(made(1000, strength=0.0)[0]))
    texts = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert 'every forecast is "no change"' in texts
    assert "return R2 % +0.000, skill % +0.000, direction % –" in texts


def test_a_gap_in_the_candles_is_a_gap_in_the_line() -> None:
    frame = held_out(made(1000)[0])
    whole = panel(actual_vs_predicted(frame), "The last").lines[0].get_ydata()
    broken = panel(actual_vs_predicted(frame.drop(frame.index[-40:-30])), "The last").lines[0].get_ydata()
    assert not np.isnan(whole).any()
    assert np.isnan(broken).sum() == 1


def test_the_interval_label_shows_its_coverage() -> None:
    frame = held_out(made(3000)[0])
    share = 100 * METRICS["interval_coverage"].compute(scored(frame))
    labels = panel(actual_vs_predicted(frame), "The last").get_legend().get_texts()
    assert f"prediction interval (coverage {share:.1f} % on the hold-out)" in [text.get_text() for text in labels]


def test_the_largest_of_many_errors_are_shown() -> None:
    frame = held_out(made(40_000)[0])
    errors = 1e4 * (frame["actual_return"] - frame["forecast_return"])
    dots = panel(residuals(frame), "Over time").lines[-2].get_ydata()
    assert max(dots) == pytest.approx(errors.max())
    assert min(dots) == pytest.approx(errors.min())


def test_daily_candles_are_shown_by_weekday() -> None:
    by_day = residuals(held_out(made(1000, freq="1D")[0]))
    assert [label.get_text() for label in panel(by_day, "RMSE by day").get_xticklabels()][:2] == ["Mon", "Tue"]
    assert panel(residuals(held_out(made(1000)[0])), "RMSE by hour of the day, UTC")


def test_folds_show_the_rmse_of_model_and_persistence() -> None:
    frame, rows = made(3000, n_folds=2)
    labels = [
        label.get_text() for label in panel(folds(rows, frame), "Training and validation windows").get_yticklabels()
    ]
    for part, label in zip(("fold_1", "fold_2", "holdout"), labels, strict=True):
        one = frame[frame["part"] == part]
        ours = float(np.sqrt(np.mean((one["actual_price"] - one["forecast_price"]) ** 2)))
        theirs = float(np.sqrt(np.mean((one["actual_price"] - one["price_now"]) ** 2)))
        name = "hold-out" if part == "holdout" else part.replace("_", " ")
        assert label == f"{name}:  {style.five_digits(ours)} | {style.five_digits(theirs)}"


def test_fold_windows_are_drawn_at_their_times() -> None:
    frame, rows = made(3000, n_folds=2)
    bars = panel(folds(rows, frame), "Training and validation windows").patches
    spans = {(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars}
    for row in rows:
        for start, end in ((row.train_start, row.train_end), (row.validation_start, row.validation_end)):
            assert any(
                left == pytest.approx(style.time_of(start)) and right == pytest.approx(style.time_of(end))
                for left, right in spans
            )


def test_importance_shows_the_top_features_and_summarizes_the_others() -> None:
    figure = feature_importance(IMPORTANCE, top=3)
    axes = panel(figure, "The first 3 of 60 features; the other 57 have 90.3 %")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["feature_0", "feature_1", "feature_2"]
    assert [bar.get_width() for bar in axes.patches] == [pytest.approx(100 * n / 1830) for n in (60, 59, 58)]


def test_every_axis_has_a_unit() -> None:
    frame, rows = made(3000)
    for figure in (actual_vs_predicted(held_out(frame)), residuals(held_out(frame))):
        for axes in figure.axes:
            assert axes.get_ylabel()
    assert "USDT" in panel(actual_vs_predicted(held_out(frame), price_unit="USDT"), "The last").get_ylabel()
    assert "USDT" in panel(folds(rows, frame, price_unit="USDT"), "Price").get_ylabel()


@pytest.mark.parametrize(
    ("value", "text"), [(138.0149, "138.01"), (123.3, "123.30"), (41235.4, "41,235"), (0.0001234, "0.00012340")]
)
def test_five_significant_digits(value: float, text: str) -> None:
    assert style.five_digits(value) == text


@pytest.mark.parametrize(("length", "most"), [(10, 3), (3, 3), (1, 3), (1_000_001, 3000)])
def test_thinning_keeps_both_ends(length: int, most: int) -> None:
    kept = style.thin(length, most)
    assert (kept[0], kept[-1], len(kept)) == (0, length - 1, min(length, most))


def test_plots_use_no_global_state_and_no_heavy_imports(tmp_path: Path) -> None:
    program = """
import sys
from cryptoml.reports import plots, profile
assert not {"numpy", "pandas", "matplotlib", "data_profiling"} & set(sys.modules)
import pandas as pd
from pathlib import Path
plots.draw_all(Path(sys.argv[1]), predictions=pd.DataFrame({"part": []}), importance=pd.Series({"a": 1.0}),
               fold_rows=[], title="a", subtitle="b", timestamp="t", interval_level=0.9)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert [path.name for path in tmp_path.glob("*.png")] == ["feature_importance_t.png"]
