"""docs/json.md is generated from the types that the commands return."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, NotRequired, get_args, get_origin, get_type_hints

from cryptoml.cli.app import COMMANDS
from cryptoml.errors import AccessError, CheckFailedError, ConfigError, DataError, UnavailableError, UsageError
from cryptoml.result import KINDS, Failure, schema_of
from tests.json_schemas import Envelope, Error, documents, nested

PAGE = Path(__file__).resolve().parents[2] / "docs" / "json.md"
MEANINGS = {
    "unexpected": "an error that cryptoml does not know",
    "usage": "the command line asks for something that does not exist",
    "config": "settings or config are wrong",
    "data": "the data cannot be used",
    "unavailable": "a service is away; trying again may help",
    "check_failed": "a check failed: the gate, doctor, monitor, runs that are not comparable",
    "access": "credentials are missing, wrong or not sufficient",
}
HEAD = """# JSON output

With `--json` every command prints exactly one line on standard output, also when it fails; messages go to standard
error. The line is the last thing the process writes. Exceptions: `--help`, a reader that closes the pipe, and a process
that is killed together with its parent.

```json
{"schema": "cryptoml.train/1", "ok": true, "result": {"training_id": "..."}}
{"schema": "cryptoml.train/1", "ok": false, "error": {"code": 4, "kind": "data", "message": "...", "hint": null}}
```

A command that fails although it has a result prints both: `doctor` with errors, `train` and `register` when the gate
refuses the run, `monitor` when the model is worse than persistence, `sync` and `extract-data` when a part failed,
`transform-data` when a quality gate is not passed. NaN and infinity are `null`. The number in the schema's name changes
when keys are removed or change their meaning; new keys may be added without.

```console
$ cryptoml train --json | jq -r .result.version
$ cryptoml doctor --json | jq -r '.result.findings[] | select(.status == "error") | .hint'
```
"""


def reference() -> str:
    """docs/json.md."""
    lines = [HEAD, "## Envelope", "", *_table(Envelope), "", "`error`:", "", *_table(Error), ""]
    lines += ["| code | kind | meaning |", "|---|---|---|"]
    lines += [f"| {code} | `{kind}` | {MEANINGS[kind]} |" for code, kind in KINDS.items()]
    lines += ["| 128 + N | `stopped` | signal N ended the command |"]
    for command in COMMANDS:
        lines += ["", f"## {command}", "", f"`result` of `{schema_of(command)}`."]
        for document in documents(command):
            for one in nested(document):
                lines += ["", f"**{one.__name__}**: {one.__doc__}", "", *_table(one)]
    return "\n".join(lines) + "\n"


def _table(typed_dict: type) -> list[str]:
    rows = []
    for key, hint in get_type_hints(typed_dict, include_extras=True).items():
        type_, meaning = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, "")
        shown = get_args(type_)[0] if get_origin(type_) is NotRequired else type_
        rows.append(f"| `{key}` | {_name(shown)} | {meaning} |")
    return ["| key | type | meaning |", "|---|---|---|", *rows]


def _name(hint: Any) -> str:
    """A type as people read it."""
    text = "object" if hint is Any else re.sub(r"<class '([\w.]+)'>", r"\1", str(hint))
    text = re.sub(r"[a-z_]+(\.[A-Za-z_]+)*\.([A-Z]\w*)", r"\2", text)
    names = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null", "dict": "object"}
    return re.sub(r"\b[a-zA-Z]+\b", lambda found: names.get(found[0], found[0]), text).replace("|", "or")


def test_the_reference_of_json_has_not_drifted():
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(reference())
    assert PAGE.read_text() == reference(), "run it again with UPDATE_DOCS=1"


def test_every_error_has_the_kind_of_its_exit_code():
    kinds = {UsageError: "usage", ConfigError: "config", DataError: "data", UnavailableError: "unavailable",
             CheckFailedError: "check_failed", AccessError: "access"}  # fmt: skip
    for error, kind in kinds.items():
        failure = Failure.of(error("no such file.", hint="name another"))
        assert failure.kind == kind
        assert failure.to_dict() == {
            "code": error.exit_code, "kind": kind, "message": "no such file.", "hint": "name another",
        }  # fmt: skip
    assert Failure(143, "stopped").kind == "stopped"
    assert set(MEANINGS) == set(KINDS.values())
