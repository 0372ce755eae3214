"""What a set-up is asked for and what it did: its parts, each before and after and with its proof, and notes."""

from __future__ import annotations

from dataclasses import dataclass

from cryptoml.settings import Settings
from cryptoml.workflows.setup.login import AskToken

NOTHING = "-"


@dataclass(frozen=True)
class SetupRequest:
    """What to connect to. owner and repo: by default the settings', else those of a git remote at the host.

    ask_token: asks for a token, where somebody can be asked; trust_host: the token may go to DagsHub's host wherever
    that is named; read_only: nothing is written to the remotes, each is proven by reading.
    """

    settings: Settings
    ask_token: AskToken | None = None
    trust_host: bool = False
    read_only: bool = False
    owner: str | None = None
    repo: str | None = None
    create: bool = False
    private: bool = True
    push: bool = False
    branches: tuple[str, ...] = ()
    force: bool = False
    dry_run: bool = False
    local: bool = False


@dataclass(frozen=True)
class Part:
    """One part of the set-up, what it was and is, and what proves that it works (empty in a dry run)."""

    name: str
    before: str
    after: str
    proof: str = ""

    @property
    def changed(self) -> bool:
        """Whether something had to be done."""
        return self.before != self.after


@dataclass(frozen=True)
class SetupResult:
    """All parts in order; notes are sentences about what else to know."""

    target: str
    dry_run: bool
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any part was, or would be, changed."""
        return any(part.changed for part in self.parts)

    def to_dict(self) -> dict[str, object]:
        """The `result` of --json."""
        return {
            "target": self.target,
            "dry_run": self.dry_run,
            "changed": self.changed,
            "parts": [{**vars(part), "changed": part.changed} for part in self.parts],
            "notes": list(self.notes),
        }
