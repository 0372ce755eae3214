"""Applies the gate to the results of one training, with the comparison with the model in production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.config.schema import Config
from cryptoml.registry.champion import duel_for_gate
from cryptoml.settings import Settings
from cryptoml.workflows.training.inputs import TrainingData
from cryptoml.workflows.training.registration import judge

if TYPE_CHECKING:
    from cryptoml.registry.gate import ChampionDuel, GateDecision
    from cryptoml.tracking.tracker import Tracker
    from cryptoml.training.results import ModelResult


@dataclass(frozen=True)
class Judge:
    """The gate of one training."""

    settings: Settings
    config: Config
    data: TrainingData
    tracker: Tracker

    def decide(self, result: ModelResult) -> tuple[GateDecision, str]:
        """Apply the gate at the main horizon; also return a note on the comparison with the model in production."""
        champion, note = self._champion(result)
        return judge(result.verdict.word, result.metrics, self.data.reports, self.config, champion=champion), note

    def faults(self, further: ModelResult) -> tuple[str, ...]:
        """Return the reasons against the result at a further horizon."""
        return judge(further.verdict.word, further.metrics, self.data.reports, self.config).reasons

    def left_out(self, result: ModelResult) -> list[str]:
        """Return a sentence for each further horizon that the model does not forecast, with the reasons."""
        return [
            f"the model does not forecast {one.forecaster.horizon} candles ahead: {' '.join(faults)}"
            for one in result.further
            if (faults := self.faults(one))
        ]

    def _champion(self, result: ModelResult) -> tuple[ChampionDuel | None, str]:
        """Return the duel with the production version on the latest candles, or None and a note on the reason."""
        store = self.tracker.store()
        if store is None:
            return None, ""
        return duel_for_gate(store, self.settings, self.config, result.forecaster, self.data.candles)
