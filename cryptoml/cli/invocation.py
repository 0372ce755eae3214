"""The command line before it is parsed: whether JSON is asked for, and of which command."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cryptoml.result import schema_of

JSON_OPTION = "--json"


@dataclass(frozen=True)
class Invocation:
    """The arguments behind `cryptoml`. Errors need this where parsing fails, too."""

    arguments: Sequence[str]
    commands: Collection[str]

    @property
    def wants_json(self) -> bool:
        """Whether --json is among the options."""
        options = self.arguments[: self.arguments.index("--")] if "--" in self.arguments else self.arguments
        return JSON_OPTION in options

    @property
    def schema(self) -> str:
        """The schema of the command's JSON; `cryptoml/1` where no command is named."""
        first = next((argument for argument in self.arguments if not argument.startswith("-")), "")
        return schema_of(first if first in self.commands else "")
