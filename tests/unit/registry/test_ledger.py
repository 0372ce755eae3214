"""The ledger: a hash chain that detects altered, added and removed entries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cryptoml.registry.ledger import DONE_TAG, Entry, Ledger, compare_mirror, read_ledger, tag_name, write_mirror

MOVES = [
    ("1", "none", "staging", None, "promotion"),
    ("1", "staging", "production", None, "promotion"),
    ("2", "none", "staging", None, "promotion"),
    ("2", "staging", "production", None, "refusal"),
    ("2", "staging", "production", ("1", "archived"), "promotion"),
]


def chain() -> list[Entry]:
    entries: list[Entry] = []
    for version, before, after, displaced, kind in MOVES:
        entries.append(
            Entry(
                number=len(entries) + 1,
                previous=entries[-1].hash() if entries else "",
                time="2024-01-01T00:00:00Z",
                who="Ada",
                host="here",
                version=version,
                from_stage=before,
                to_stage=after,
                reason="because",
                kind=kind,
                displaced=displaced,
                metrics={"skill": 0.001},
            )
        )
    return entries


def tags(entries: list[Entry], done: int | None = None) -> dict[str, str]:
    found = {tag_name(entry.number): entry.to_json() for entry in entries}
    return {**found, DONE_TAG: str(len(entries) if done is None else done), "other": "tag"}


def test_written_entries_are_read_back() -> None:
    ledger = read_ledger(tags(chain()))
    assert ledger == Ledger(tuple(chain()), 5, ())
    assert ledger.head == chain()[-1].hash()


@pytest.mark.parametrize("key", ["who", "reason", "time", "version", "to_stage", "metrics", "forced"])
def test_an_altered_field_is_detected(key: str) -> None:
    found = tags(chain())
    document = json.loads(found[tag_name(2)])
    document[key] = {"skill": 9.0} if key == "metrics" else True if key == "forced" else "other"
    found[tag_name(2)] = json.dumps(document)
    assert read_ledger(found).faults[0] == "entry 2 was altered: its content does not match its hash"


def test_a_forged_entry_with_a_valid_hash_breaks_the_chain() -> None:
    entries = chain()
    document = vars(entries[1]) | {"reason": "another"}
    entries[1] = Entry(**document)
    assert read_ledger(tags(entries)).faults == (
        "entry 3 does not follow the previous entry: an entry was altered, added or removed",
    )


def test_a_missing_and_an_unreadable_entry_are_detected() -> None:
    found = tags(chain())
    del found[tag_name(2)]
    assert "entry 2 is missing" in read_ledger(found).faults
    found = tags(chain())
    found[tag_name(4)] = "{"
    assert read_ledger(found).faults[0] == "entry 4 cannot be read: it was altered"


def test_current_and_previous_production_version() -> None:
    entries = chain()
    assert Ledger(tuple(entries[:1]), 1, ()).production() is None
    assert Ledger(tuple(entries[:4]), 4, ()).production() == "1"
    ledger = Ledger(tuple(entries), 5, ())
    assert ledger.production() == "2"
    assert ledger.before_production("2") == "1"
    assert ledger.before_production("1") == "2"


def test_an_interrupted_transition_is_pending_but_never_a_refusal() -> None:
    assert read_ledger(tags(chain(), done=4)).pending == chain()[4]
    assert read_ledger(tags(chain())).pending is None
    assert read_ledger(tags(chain()[:4], done=3)).pending is None


def test_the_mirror_detects_differences(tmp_path: Path) -> None:
    mirror = tmp_path / "m.jsonl"
    write_mirror(mirror, chain()[:3])
    write_mirror(mirror, chain())
    assert len(mirror.read_text().splitlines()) == 5
    assert compare_mirror(mirror, chain()) == []
    assert compare_mirror(tmp_path / "absent", chain()) == []
    assert "no longer in the registry" in compare_mirror(mirror, chain()[:4])[0]
    forged = chain()
    forged[0] = Entry(**(vars(forged[0]) | {"who": "Eve"}))
    assert "the registry's entry was altered" in compare_mirror(mirror, forged)[0]
    mirror.write_text("no json\n")
    assert "cannot be read" in compare_mirror(mirror, chain())[0]
