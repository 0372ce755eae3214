"""The documents say what the code does."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cryptoml.cli.app import app
from cryptoml.config.parameters import allowed
from cryptoml.config.schema import Config
from cryptoml.models.zoo import MODELS

REPOSITORY = Path(__file__).resolve().parents[2]


def reference() -> str:
    """docs/config.md, made of the schema and the zoo."""
    lines = [
        "# Config",
        "",
        "Every key of `configs/*.yaml`, with its default. `--set a.b=c` > `CRYPTOML_A__B` > YAML > default.",
        "Unknown keys are errors, all told at once.",
        "",
        "| key | default | what it does |",
        "|---|---|---|",
    ]
    for name, field in Config.model_fields.items():
        if name == "models":
            continue
        section = field.annotation
        assert section is not None
        for key, inner in section.model_fields.items():
            default = inner.default
            shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
            lines.append(f"| `{name}.{key}` | {'' if shown is None else shown} | {inner.description or ''} |")
    lines += ["", "## Models", "", "`models.NAME.PARAMETER`; ranges include both ends."]
    for model in MODELS.values():
        lines += ["", f"### {model.key}", "", model.summary]
        fields = model.parameters.model_fields
        if fields:
            lines += ["", "| parameter | default | range | effect |", "|---|---|---|---|"]
        for key, field in fields.items():
            default = "none" if field.default is None else field.default
            lines.append(f"| `{key}` | {default} | {allowed(field)} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def test_the_config_reference_has_not_drifted():
    path = REPOSITORY / "docs" / "config.md"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(reference())
    assert path.read_text() == reference(), "run it again with UPDATE_DOCS=1"


def test_every_command_is_in_the_readme_and_has_help():
    readme = (REPOSITORY / "README.md").read_text()
    rows = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `cryptoml ")]
    shown = {name for row in rows for name in re.findall(r"`cryptoml ([a-z-]+)`", row)}
    assert shown == {command.name for command in app.registered_commands}
    for command in app.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__


def test_every_key_says_what_it_does():
    for line in reference().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line
