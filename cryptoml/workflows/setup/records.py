"""Request and result of a setup."""

from __future__ import annotations

from dataclasses import dataclass

from cryptoml.settings import Settings
from cryptoml.workflows.setup.login import AskToken

NOTHING = "-"


@dataclass(frozen=True)
class SetupRequest:
    """What to set up. owner and repo: default: from the settings, else from a git remote at the host.

    ask_token: prompts for a token, None without a terminal. trust_host: send the token to the configured DagsHub host,
    whatever the source of the setting. read_only: only read from the remotes to test them.
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
    """One part of the setup, before and after. proof: result of its test, empty in a dry run."""

    name: str
    before: str
    after: str
    proof: str = ""

    @property
    def changed(self) -> bool:
        """Whether the setup changed the part."""
        return self.before != self.after


@dataclass(frozen=True)
class SetupResult:
    """All parts in order. notes: sentences with further advice."""

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
