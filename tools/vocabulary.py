"""Checks that messages, documents, comments and test names use the standard terms of the field: part of `make lint`.

`--pending` also lists the findings in PENDING, the places that are not rewritten yet; these do not fail the check.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

# A regular expression of what not to write, and what to write.
WORDS: tuple[tuple[str, str], ...] = (
    (r"mend(s|ed|ing)?", "hint, fix"),
    (r"luck(y|ily)?", "statistical uncertainty"),
    (r"(exact|rounded|many|such|are|as) copies|rows? that cop(y|ies)|be a copy|copied or mis\w+", "duplicates"),
    (r"worth of memory|memory of (the )?errors", "autocorrelation"),
    (r"(?<!clearly )told", "reported, given"),
    (r"said", "reported, given, named"),
    (r"noticed", "detected"),
    (r"the dead|left by|what (it|they|a \w+) left", "stale, interrupted, exited"),
    (r"gone", "missing, deleted, ended"),
    (r"a bug: ", "unexpected error: "),
    (r"do not work,|to know,|not looked at", "errors, warnings, skipped"),
    (r"so many (runs|candles)", "the N latest"),
    (r"made room|room is made|make room|is in archived", "was archived"),
    (r"(not|nothing) to be told", "statistically indistinguishable"),
    (r"ranking is fair|unfair|fair comparison", "not comparable"),
    (r"(fits?|runs?|running|trainings?|many) side by side", "in parallel"),
    (r"before the leap", "preflight check"),
    (r"comparison's page", "the report"),
    (r"that is one already", "is already registered"),
    (r"(is|are|was|were) of its market", "for the same symbol and interval"),
    (r"cannot be true", "invalid"),
    (r"misprint(s|ed)?", "price spike, outlier"),
    (r"doubles? (nothing|no)", "create no duplicates"),
    (r"(goes|going|went|go) on (where|at|after)|goes on", "continue, resume"),
    (r"hand(s|ed|ing)? on", "pass, return"),
    (r"whole or not at all", "atomically"),
    (r"people really have|people have", "common"),
    (r"will bite|bites", "may fail later"),
    (r"sees? through", "ignore"),
    (r"yardstick", "baseline"),
    (r"(?<!word )in words", "with a message"),
    (r"worth nothing|good for nothing", "invalid"),
    (r"nobody (sits|can be asked|is left)|where nobody", "without a terminal"),
    (r"whoever|(?-i:Who) (has|wants|shares|may|makes)", "name the person or process"),
    (r"by turns", "alternately"),
    (r"sat out|sit out|patience|patient(ly)?", "wait, retry"),
    (r"is (away|at work|put together)(?! from)|goes away|went away|stays away", "is unavailable, is running"),
    (r"lets? (it|them|a \w+|the \w+) in", "passes the gate"),
    (r"the (house|last catcher|promised)", "name the thing"),
    (r"and (it|them|that) alone|alone stands", "only"),
    (r"as people (read|write)", "name the order"),
    (r"is to be|are to be|were to be", "must, will"),
    (r"wherever it may|whatever was|whatever has", "any"),
    (r"held against", "compared with"),
)
_PATTERNS = tuple((re.compile(rf"(?<![\w.]){word}(?!\w)", re.IGNORECASE), instead) for word, instead in WORDS)

# Not rewritten yet. Shorten this list; it is empty once the whole repository is clean.
PENDING: tuple[str, ...] = ()

_SUFFIXES = (".py", ".md", ".yaml", ".yml", ".toml", ".bash", ".j2", ".js", ".example")
_TEST_NAME = re.compile(r"^\s*(?:async )?def (test_\w+)")
# The list of words itself, and results that a campaign wrote.
_SKIPPED = ("tools/vocabulary.py", "tests/unit/test_vocabulary.py")
_GENERATED = re.compile(r"<!-- campaign: begin -->.*<!-- campaign: end -->", re.DOTALL)


@dataclass(frozen=True)
class Violation:
    """A phrase that is not to be used, and where it is."""

    path: str
    line: int
    phrase: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.phrase!r}. Hint: {self.instead}"


def violations(path: str, text: str) -> Iterator[Violation]:
    """Search a file; of a file in tests/ only the names of the tests."""
    text = _GENERATED.sub(lambda found: "\n" * found[0].count("\n"), text)
    names_only = path.startswith("tests/") and path.endswith(".py")
    for number, line in enumerate(text.splitlines(), 1):
        name = _TEST_NAME.match(line)
        checked = (name[1].replace("_", " ") if name else "") if names_only else line
        for pattern, instead in _PATTERNS:
            yield from (Violation(path, number, found[0], instead) for found in pattern.finditer(checked))


def tracked_files() -> list[str]:
    """Text files that git tracks, or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    return [
        name
        for name in dict.fromkeys(names)
        if name.endswith((*_SUFFIXES, "Makefile")) and name not in _SKIPPED and (REPOSITORY / name).is_file()
    ]


def main(arguments: Sequence[str]) -> int:
    """Print the violations; returns 1 if there are any outside PENDING."""
    found = [
        one for name in tracked_files() for one in violations(name, (REPOSITORY / name).read_text(encoding="utf-8"))
    ]
    strict = [one for one in found if not one.path.startswith(PENDING)] if PENDING else found
    pending = [one for one in found if one not in strict]
    for one in [*strict, *(pending if "--pending" in arguments else [])]:
        print(one)
    if "--pending" in arguments:
        folders = Counter(next(place for place in PENDING if one.path.startswith(place)) for one in pending)
        print(*(f"{count:5} {place}" for place, count in folders.items()), sep="\n")
    return 1 if strict else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
