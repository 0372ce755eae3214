"""The ledger of stage transitions: a hash chain of entries in the registry's tags, mirrored on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptoml.settings import Settings

TAG, DONE_TAG = "cryptoml.ledger.", "cryptoml.ledger-done"


def mirror_of(settings: Settings, model_name: str) -> Path:
    """Return the path of the ledger's mirror on disk."""
    return settings.project_dir / ".cryptoml" / "registry" / f"{model_name}.jsonl"


@dataclass(frozen=True)
class Entry:
    """A transition or its refusal.

    displaced: the version that was replaced and its new stage; metrics: the values behind the decision, all finite in
    new entries; previous: the hash of the previous entry, empty for the first. Times are UTC ISO.
    """

    number: int
    previous: str
    time: str
    who: str
    host: str
    version: str
    from_stage: str
    to_stage: str
    reason: str
    kind: str = "promotion"
    forced: bool = False
    displaced: tuple[str, str] | None = None
    metrics: Mapping[str, float | str] = field(default_factory=dict)
    git_commit: str = ""
    dataset_version: str = ""

    @property
    def refused(self) -> bool:
        """Whether the transition was refused."""
        return self.kind == "refusal"

    def hash(self) -> str:
        """Return the SHA-256 of all fields in canonical JSON."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """Return the entry with its hash as single-line JSON."""
        return json.dumps({**asdict(self), "hash": self.hash()}, sort_keys=True)


@dataclass(frozen=True)
class Ledger:
    """All entries in order. done: number of completed entries; faults: a sentence for each integrity error."""

    entries: tuple[Entry, ...]
    done: int
    faults: tuple[str, ...]

    @property
    def head(self) -> str:
        """The hash of the last entry, which the next one refers to; empty if there is none."""
        return self.entries[-1].hash() if self.entries else ""

    @property
    def pending(self) -> Entry | None:
        """The last entry, if its transition may have been interrupted."""
        last = self.entries[-1] if self.entries else None
        return last if last is not None and last.number > self.done and not last.refused else None

    def production(self) -> str | None:
        """Return the version in production according to the ledger."""
        current: str | None = None
        for entry in self.entries:
            if entry.refused:
                continue
            if entry.to_stage == "production":
                current = entry.version
            elif entry.version == current:
                current = None
        return current

    def before_production(self, current: str | None) -> str | None:
        """Return the version that was in production before `current`."""
        for entry in reversed(self.entries):
            if not entry.refused and entry.to_stage == "production" and entry.version != current:
                return entry.version
        return None


def read_ledger(tags: Mapping[str, str]) -> Ledger:
    """Read the ledger from a registered model's tags; damage is reported in `faults`, never raised."""
    entries: list[Entry] = []
    faults: list[str] = []
    for name in sorted(name for name in tags if name.startswith(TAG)):
        entry, stored = _parse(tags[name])
        if entry is None:
            faults.append(f"entry {name.removeprefix(TAG).lstrip('0')} cannot be read: it was altered")
            continue
        if entry.hash() != stored:
            faults.append(f"entry {entry.number} was altered: its content does not match its hash")
        if entry.previous != (entries[-1].hash() if entries else ""):
            faults.append(
                f"entry {entry.number} does not follow the previous entry: an entry was altered, added or removed"
            )
        if entry.number != len(entries) + 1:
            faults.append(f"entry {len(entries) + 1} is missing")
        entries.append(entry)
    done = tags.get(DONE_TAG, "0")
    return Ledger(tuple(entries), int(done) if done.isdecimal() else 0, tuple(faults))


def tag_name(number: int) -> str:
    """Return the name of the tag that stores an entry."""
    return f"{TAG}{number:06d}"


def write_mirror(path: Path, entries: Sequence[Entry]) -> None:
    """Append new entries to the mirror on disk; existing entries are never changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0
    new = [entry for entry in entries if entry.number > count]
    if new:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{entry.to_json()}\n" for entry in new)


def compare_mirror(path: Path, entries: Sequence[Entry]) -> list[str]:
    """Return a sentence for each difference between the mirror on disk and the entries."""
    if not path.is_file():
        return []
    faults = []
    by_number = {entry.number: entry for entry in entries}
    for line in path.read_text(encoding="utf-8").splitlines():
        mirrored, _ = _parse(line)
        if mirrored is None:
            faults.append(f"{path}: a line cannot be read")
        elif mirrored.number not in by_number:
            faults.append(f"entry {mirrored.number} is in {path} but no longer in the registry")
        elif by_number[mirrored.number].hash() != mirrored.hash():
            faults.append(f"entry {mirrored.number} differs from {path}: the registry's entry was altered")
    return faults


def _parse(text: str) -> tuple[Entry | None, str]:
    try:
        document: dict[str, Any] = json.loads(text)
        stored = str(document.pop("hash"))
        displaced = document.pop("displaced")
        return Entry(**document, displaced=tuple(displaced) if displaced else None), stored
    except (ValueError, KeyError, TypeError):
        return None, ""
