"""The command line of a process: its command, and whether it requests JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cryptoml.result import schema_of

JSON_OPTION = "--json"


@dataclass
class Invocation:
    """The arguments of `cryptoml`. Errors need these properties even if parsing fails.

    as_json: whether --json is set, None until the arguments are parsed.
    """

    arguments: Sequence[str]
    commands: Collection[str]
    as_json: bool | None = None

    @property
    def wants_json(self) -> bool:
        """Whether to print JSON; before the arguments are parsed, whether --json is among them."""
        if self.as_json is not None:
            return self.as_json
        start = self._command_index()
        end = self.arguments.index("--", start) if "--" in self.arguments[start:] else len(self.arguments)
        return any(argument.partition("=")[0] == JSON_OPTION for argument in self.arguments[:end])

    @property
    def command(self) -> str:
        """The name of the command; empty without a valid one."""
        name = next(iter(self.arguments[self._command_index() :]), "")
        return name if name in self.commands else ""

    @property
    def schema(self) -> str:
        """The JSON schema of the command; `cryptoml/1` without a valid command."""
        return schema_of(self.command)

    def _command_index(self) -> int:
        """Return the index of the command's name; it may follow a `--`, which ends the options of `cryptoml` only."""
        names = (index for index, argument in enumerate(self.arguments) if not argument.startswith("-"))
        return next(names, 0)
