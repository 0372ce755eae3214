"""The data and configuration of a training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptoml.config.load import LoadedConfig
from cryptoml.data.symbols import UNKNOWN, symbol_from_file_name
from cryptoml.settings import Settings


@dataclass(frozen=True)
class TrainRequest:
    """The data and configuration of a training.

    wait_s: how long to wait for another training of the same output. use_cache: reuse kept fits, and keep new ones.
    """

    data: Path
    settings: Settings
    config: LoadedConfig
    wait_s: float = 0.0
    use_cache: bool = True

    @property
    def label(self) -> str:
        """The market's symbol, as it is given or as the file's name has it, else the file's name."""
        symbol = self.config.config.data.symbol or symbol_from_file_name(self.data.name)
        return self.data.name if symbol == UNKNOWN else symbol
