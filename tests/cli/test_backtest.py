"""`cryptoml backtest` and `compare --backtest` on a real training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import Lab


def test_costs_decide(lab: Lab):
    free = lab.project.run("backtest", "--threshold", "none", "--fee", "0", "--slippage", "0", "--json")
    dear = lab.project.run("backtest", "--threshold", "none", "--fee", "50", "--json")
    assert (free.code, dear.code) == (0, 0), free.err + dear.err
    for one, other in zip(free.json()["backtests"], dear.json()["backtests"], strict=True):
        assert one["run_id"] == other["run_id"]
        assert one["net_return"] == one["gross_return"] == other["gross_return"]
        assert other["net_return"] < one["net_return"]
        assert one["n_trades"] > 10
        assert 0 < one["p_random"] <= 1
    assert not any("persistence" in one["run_name"] for one in free.json()["backtests"])


def test_without_trades_it_says_so_and_how_to_trade(lab: Lab):
    done = lab.project.run("backtest", "--fee", "1000")
    assert done.code == 0, done.err
    assert "never traded: no forecast exceeded the cost of buying and selling, 20 %" in done.out + done.err
    assert "cryptoml backtest --threshold none" in done.out + done.err


def test_compare_shows_the_same(lab: Lab):
    words = ("--set", "backtest.threshold=none", "--json")
    alone, compared = lab.project.run("backtest", *words), lab.project.run("compare", "--backtest", *words)
    assert alone.json()["backtests"] == compared.json()["backtests"]
    assert lab.project.run("compare", "--json").json()["backtests"] == []


def test_it_draws_a_plot(lab: Lab, tmp_path: Path):
    target = tmp_path / "new" / "backtest.png"
    done = lab.project.run("backtest", "--threshold", "none", "--plot", target)
    assert done.code == 0, done.err
    assert done.out.strip().splitlines()[-1] == str(target)
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (("--plot", "backtest.pdf"), "must end with .png"),
        (("--threshold", "costs"), "backtest.threshold"),
        (("nothing",), "run nothing not found"),
    ],
)
def test_mistakes_are_named(lab: Lab, words: tuple[str, ...], fact: str):
    done = lab.project.run("backtest", *words)
    assert done.code in (2, 3)
    assert fact in done.err
