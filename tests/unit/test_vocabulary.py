"""The check of the vocabulary finds what it is for, and every pending place still has something to rewrite."""

from __future__ import annotations

import pytest

from tools.vocabulary import PENDING, REPOSITORY, WORDS, tracked_files, violations


@pytest.mark.parametrize(
    ("path", "text", "phrase"),
    [
        ("docs/a.md", "Mend: cryptoml doctor", "Mend"),
        ("cryptoml/a.py", '    """Told by the server."""', "Told"),
        ("cryptoml/a.py", 'raise Error("v1 made room and is in archived")', "made room"),
        ("configs/a.yaml", "a: 1  # rows that cannot be true", "cannot be true"),
        ("tests/unit/test_a.py", "def test_the_dead_are_left_alone():", "the dead"),
    ],
)
def test_a_phrase_is_found(path, text, phrase):
    assert phrase in [one.phrase for one in violations(path, text)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("cryptoml/a.py", "told_at = 0"),
        ("cryptoml/a.py", "recommended, amendment"),
        ("tests/unit/test_a.py", 'text = "told"'),
        ("docs/reliability.md", "<!-- campaign: begin -->\ntold\n<!-- campaign: end -->"),
    ],
)
def test_names_and_parts_of_words_are_not_found(path, text):
    assert list(violations(path, text)) == []


def test_a_line_is_named_by_its_number():
    (found,) = violations("docs/a.md", "one\ntwo\n\nmended\n")
    assert str(found) == "docs/a.md:4: 'mended'. Hint: hint, fix"


def test_every_pending_place_exists_and_still_has_findings():
    names = tracked_files()
    for place in PENDING:
        texts = ((name, (REPOSITORY / name).read_text(encoding="utf-8")) for name in names if name.startswith(place))
        assert any(True for name, text in texts for _ in violations(name, text)), f"{place}: remove it from PENDING"


def test_the_words_are_listed_once_each():
    patterns = [pattern for pattern, _ in WORDS]
    assert len(set(patterns)) == len(patterns)
