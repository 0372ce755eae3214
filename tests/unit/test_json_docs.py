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
    "unexpected": "an unexpected error",
    "usage": "the command line is wrong or names something that does not exist",
    "config": "settings or config are wrong",
    "data": "the data cannot be used",
    "unavailable": "a service is unavailable; a retry may succeed",
    "check_failed": "a check failed: the gate, doctor, monitor, runs that are not comparable",
    "access": "credentials are missing, wrong or insufficient",
}
HEAD = """# JSON output

With `--json` every command prints exactly one line on standard output, also when it fails; messages go to standard
error. The line is the last output of the process. Exceptions: `--help`, a reader that closes the pipe, a process that
is killed together with its parent, and a signal in the first hundredths of a second, while Python itself starts.

```json
{"schema": "cryptoml.train/1", "ok": true, "result": {"training_id": "..."}}
{"schema": "cryptoml.train/1", "ok": false, "error": {"code": 4, "kind": "data", "message": "...", "hint": null}}
```

A command that fails although it has a result prints both: `doctor` with errors, `train` and `register` when the gate
refuses the run, `monitor` when the model is worse than persistence, `sync` and `extract-data` when a part failed,
`transform-data` when a quality gate fails. NaN and infinity are `null`. The number in the schema's name changes
when keys are removed or change their meaning, but not when keys are added.

```console
$ cryptoml train --json | jq -r .result.version
$ cryptoml doctor --json | jq -r '.result.findings[] | select(.status == "error") | .hint'
```
"""


def reference() -> str:
    """Return the text of docs/json.md."""
    lines = [HEAD, "## Envelope", "", *_table(Envelope), "", "`error`:", "", *_table(Error), ""]
    lines += ["| code | kind | meaning |", "|---|---|---|"]
    lines += [f"| {code} | `{kind}` | {MEANINGS[kind]} |" for code, kind in KINDS.items()]
    lines += ["| 128 + N | `stopped` | signal N ended the command |"]
    for command in COMMANDS:
        lines += ["", f"## {command}", "", f"`result` of `{schema_of(command)}`."]
        for document in documents(command):
            for typed_dict in nested(document):
                lines += ["", f"**{typed_dict.__name__}**: {typed_dict.__doc__}", "", *_table(typed_dict)]
    return "\n".join(lines) + "\n"


def _table(typed_dict: type) -> list[str]:
    rows = []
    for key, hint in get_type_hints(typed_dict, include_extras=True).items():
        type_, meaning = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, "")
        shown = get_args(type_)[0] if get_origin(type_) is NotRequired else type_
        rows.append(f"| `{key}` | {_name(shown)} | {meaning} |")
    return ["| key | type | meaning |", "|---|---|---|", *rows]


def _name(hint: Any) -> str:
    """Return the JSON name of a type."""
    text = "object" if hint is Any else re.sub(r"<class '([\w.]+)'>", r"\1", str(hint))
    text = re.sub(r"[a-z_]+(\.[A-Za-z_]+)*\.([A-Z]\w*)", r"\2", text)
    names = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null", "dict": "object"}
    return re.sub(r"\b[a-zA-Z]+\b", lambda match: names.get(match[0], match[0]), text).replace("|", "or")


def test_the_json_reference_is_up_to_date():
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(reference())
    assert PAGE.read_text() == reference(), "run it again with UPDATE_DOCS=1"


def test_every_error_has_the_kind_for_its_exit_code():
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
