"""What a set-up did: its parts, each with what it was, what it is and what proves it, and notes."""

from __future__ import annotations

from dataclasses import dataclass

NOTHING = "-"


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
        """The result as JSON has it."""
        return {
            "schema": "cryptoml.setup-remotes/1",
            "target": self.target,
            "dry_run": self.dry_run,
            "changed": self.changed,
            "parts": [{**vars(part), "changed": part.changed} for part in self.parts],
            "notes": list(self.notes),
        }
