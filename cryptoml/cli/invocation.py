"""The unparsed command line: its command, and whether it requests JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cryptoml.result import schema_of

JSON_OPTION = "--json"


@dataclass(frozen=True)
class Invocation:
    """The arguments of `cryptoml`. Errors need these properties even if parsing fails."""

    arguments: Sequence[str]
    commands: Collection[str]

    @property
    def wants_json(self) -> bool:
        """Whether --json is one of the options."""
        options = self.arguments[: self.arguments.index("--")] if "--" in self.arguments else self.arguments
        return JSON_OPTION in options

    @property
    def schema(self) -> str:
        """The JSON schema of the command; `cryptoml/1` without a valid command."""
        first = next((argument for argument in self.arguments if not argument.startswith("-")), "")
        return schema_of(first if first in self.commands else "")
