"""The ledger of transitions: an entry for each, chained by hashes, in the registry's tags and mirrored on disk."""

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
    """The copy of the ledger on disk."""
    return settings.project_dir / ".cryptoml" / "registry" / f"{model_name}.jsonl"


@dataclass(frozen=True)
class Entry:
    """One transition, or a refusal of one.

    displaced: the version that had to make room and where it went; metrics: the figures behind the decision, all
    finite in new entries; previous: the hash of the entry before, empty for the first. Times are ISO, UTC.
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
        """Whether nothing was moved."""
        return self.kind == "refusal"

    def hash(self) -> str:
        """SHA-256 of everything above, in one canonical form."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """The entry with its hash, in one line."""
        return json.dumps({**asdict(self), "hash": self.hash()}, sort_keys=True)


@dataclass(frozen=True)
class Ledger:
    """All entries in order, how many are finished, and what is wrong with them, in sentences."""

    entries: tuple[Entry, ...]
    done: int
    faults: tuple[str, ...]

    @property
    def head(self) -> str:
        """The hash that the next entry must carry."""
        return self.entries[-1].hash() if self.entries else ""

    @property
    def pending(self) -> Entry | None:
        """The entry whose steps a crash may have cut short."""
        last = self.entries[-1] if self.entries else None
        return last if last is not None and last.number > self.done and not last.refused else None

    def production(self) -> str | None:
        """The version in production by the ledger."""
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
        """The version that was in production before `current`."""
        for entry in reversed(self.entries):
            if not entry.refused and entry.to_stage == "production" and entry.version != current:
                return entry.version
        return None


def read_ledger(tags: Mapping[str, str]) -> Ledger:
    """The ledger in a registered model's tags; damage is a fault, never an exception."""
    entries: list[Entry] = []
    faults: list[str] = []
    found = sorted(name for name in tags if name.startswith(TAG))
    for name in found:
        entry, stored = _parse(tags[name])
        if entry is None:
            faults.append(f"entry {name.removeprefix(TAG).lstrip('0')} cannot be read: it was altered")
            continue
        if entry.hash() != stored:
            faults.append(f"entry {entry.number} was altered: its content does not have its hash")
        if entry.previous != (entries[-1].hash() if entries else ""):
            faults.append(f"entry {entry.number} does not follow the one before it: one was altered, added or removed")
        if entry.number != len(entries) + 1:
            faults.append(f"entry {len(entries) + 1} is missing")
        entries.append(entry)
    done = tags.get(DONE_TAG, "0")
    return Ledger(tuple(entries), int(done) if done.isdecimal() else 0, tuple(faults))


def tag_name(number: int) -> str:
    """The tag that holds an entry."""
    return f"{TAG}{number:06d}"


def write_mirror(path: Path, entries: Sequence[Entry]) -> None:
    """Bring the copy on disk up to date; entries there already are never changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0
    new = [entry for entry in entries if entry.number > known]
    if new:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{entry.to_json()}\n" for entry in new)


def compare_mirror(path: Path, entries: Sequence[Entry]) -> list[str]:
    """What the copy on disk remembers otherwise, in sentences."""
    if not path.is_file():
        return []
    faults = []
    by_number = {entry.number: entry for entry in entries}
    for line in path.read_text(encoding="utf-8").splitlines():
        kept, _ = _parse(line)
        if kept is None:
            faults.append(f"{path}: a line cannot be read")
        elif kept.number not in by_number:
            faults.append(f"entry {kept.number} is in {path} and no longer in the registry")
        elif by_number[kept.number].hash() != kept.hash():
            faults.append(f"entry {kept.number} is another in {path}: the registry's was altered")
    return faults


def _parse(text: str) -> tuple[Entry | None, str]:
    try:
        document: dict[str, Any] = json.loads(text)
        stored = str(document.pop("hash"))
        displaced = document.pop("displaced")
        return Entry(**document, displaced=tuple(displaced) if displaced else None), stored
    except (ValueError, KeyError, TypeError):
        return None, ""
