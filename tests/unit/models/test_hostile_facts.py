"""A damaged or replaced forecaster.json is refused with a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cryptoml.errors import AccessError, DataError
from cryptoml.models.forecaster import load_forecaster
from tests.hostile import EXAMPLES, copy_of

VALUES: list[tuple[str, Any]] = [
    ("model_type", "evil"), ("model_type", 3), ("model_type", None), ("model_type", ["ridge"]), ("model_type", {}),
    ("implementation", "exec"), ("implementation", []), ("params", []), ("params", {"alpha": [1]}), ("params", None),
    ("horizon", 0), ("horizon", -1), ("horizon", 10**9), ("horizon", 1.5), ("horizon", True), ("horizon", "1"),
    ("symbol", None), ("symbol", "x" * 10_000), ("max_no_trade_candles", -1), ("max_no_trade_candles", 10**12),
    ("clip", float("nan")), ("shrinkage", float("nan")), ("shrinkage", float("inf")), ("shrinkage", "1"),
    ("shrinkage", None), ("shrinkage", 10**400), ("interval_quantile", -1.0), ("interval_quantile", [0.1]),
    ("interval_level", 2), ("interval_level", False), ("unseen_from", 5), ("unseen_from", "yesterday"),
    ("unseen_from", "2024-01-01"), ("feature_names", ["a"]), ("feature_names", 3), ("format", {"a": 1}),
    ("format", None), ("pipeline", None), ("pipeline", []), ("pipeline", {}),
]  # fmt: skip
PIPELINE: list[tuple[str, Any]] = [
    ("lag_windows", [10**9]), ("lag_windows", [0]), ("lag_windows", "1"), ("lag_windows", 3), ("lag_windows", [1.5]),
    ("lag_windows", list(range(1, 100_000))), ("rolling_windows", [[1]]), ("rolling_windows", [True]),
    ("rolling_windows", [float("nan")]), ("features", ["exec"]), ("features", "return"), ("features", [{}]),
    ("features", None), ("interval", None), ("interval", "0h"), ("interval", "9" * 19 + "h"), ("interval", "9" * 99),
    ("library_version", None), ("library_version", 10**9),
]  # fmt: skip


def _about(folder: Path) -> dict[str, Any]:
    about = json.loads((folder / "forecaster.json").read_text())
    assert isinstance(about, dict)
    return about


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_a_wrong_value_is_a_data_error(name: str, value: Any, tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    (folder / "forecaster.json").write_text(json.dumps({**_about(folder), name: value}))
    with pytest.raises(DataError) as caught:
        load_forecaster(folder)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(("name", "value"), PIPELINE)
def test_a_wrong_pipeline_is_a_data_error(name: str, value: Any, tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    about = _about(folder)
    about["pipeline"][name] = value
    (folder / "forecaster.json").write_text(json.dumps(about))
    with pytest.raises(DataError):
        load_forecaster(folder)


INTERVAL: list[tuple[tuple[str, ...], Any]] = [
    (("interval",), None), (("interval",), []), (("interval", "level"), 1.5), (("interval", "symmetric"), "yes"),
    (("interval", "scores"), {}), (("interval", "scores"), []), (("interval", "scores", "SIM"), None),
    (("interval", "scores", "SIM", "first_s"), -5), (("interval", "scores", "SIM", "first_s"), 10**12),
    (("interval", "scores", "SIM", "steps_s"), [3600] * 10**6), (("interval", "scores", "SIM", "steps_s"), [-1]),
    (("interval", "scores", "SIM", "scores"), [0.1]), (("interval", "scores", "SIM", "scores"), ["a"] * 500),
    (("interval", "scores", "SIM", "scores"), [float("nan")] * 500),
    (("interval", "volatility"), None), (("interval", "volatility", "windows"), [10**9]),
    (("interval", "volatility", "windows"), "1"), (("interval", "volatility", "coefficients"), [1.0]),
    (("interval", "volatility", "intercept"), float("inf")), (("interval", "volatility", "interval_seconds"), 60),
    (("scaler",), []), (("scaler",), {"mean": [1.0]}), (("scaler", "scale"), [0.0] * 7), (("scaler", "mean"), None),
    (("scaler", "mean"), [float("nan")] * 7), (("markets",), "BTC"), (("markets",), [5]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), INTERVAL)
def test_a_wrong_interval_or_scaler_is_a_data_error(path: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    folder = copy_of("ridge-scaled-interval", tmp_path)
    about = _about(folder)
    place = about
    for name in path[:-1]:
        place = place[name]
    assert path[-1] in place
    place[path[-1]] = value
    (folder / "forecaster.json").write_text(json.dumps(about))
    with pytest.raises(DataError) as caught:
        load_forecaster(folder)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1700-01-01T00:00:00+00:00", "2024-01-01"]
)
def test_a_time_outside_the_range_of_pandas_is_refused(time: str, tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    (folder / "forecaster.json").write_text(json.dumps({**_about(folder), "unseen_from": time}))
    with pytest.raises(DataError):
        load_forecaster(folder)


def test_a_time_in_another_time_zone_is_converted_to_utc(tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    (folder / "forecaster.json").write_text(json.dumps({**_about(folder), "unseen_from": "2024-W01-1T01:00+01:00"}))
    assert load_forecaster(folder).unseen_from == "2024-01-01T00:00:00Z"


@pytest.mark.parametrize("name", ["symbol", "model_type", "unseen_from"])
def test_control_characters_are_refused(name: str, tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    (folder / "forecaster.json").write_text(json.dumps({**_about(folder), name: "\x1b]0;x\x07"}))
    with pytest.raises(DataError, match="printable"):
        load_forecaster(folder)


def test_every_key_is_required(tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    about = _about(folder)
    for name in about:
        (folder / "forecaster.json").write_text(json.dumps({key: one for key, one in about.items() if key != name}))
        if name == "feature_names":
            load_forecaster(folder)
            continue
        with pytest.raises(DataError):
            load_forecaster(folder)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"3", b'"x"', b"\xff\xfe", b"[" * 200_000, b'{"a":' * 200_000, b"{" + b" " * 2**25 + b"}"],
    ids=["empty", "list", "number", "text", "not UTF-8", "deep list", "deep object", "too large"],
)
def test_another_json_document_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "forecaster.json").write_bytes(data)
    with pytest.raises(DataError, match="contains no valid forecaster"):
        load_forecaster(tmp_path)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    (folder / "forecaster.json").unlink()
    (folder / "forecaster.json").symlink_to(EXAMPLES / "ridge" / "forecaster.json")
    with pytest.raises(AccessError, match="symbolic link"):
        load_forecaster(folder)
