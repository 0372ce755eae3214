"""Reading `.env` in whatever encoding an editor saved it, and `~` and `$VARIABLES` in addresses and folders."""

import codecs
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from cryptoml.errors import ConfigError

# Longest mark first: UTF-32's little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAVE_AS = "save it as UTF-8 text: in Notepad, Save as, Encoding UTF-8; in PowerShell, Set-Content -Encoding utf8"
# Names of variables that may hold a secret.
SECRET_NAMES = re.compile(r"TOKEN|PASS|SECRET|KEY|CREDENTIAL", re.IGNORECASE)
_LOGIN = re.compile(r"://[^/\s]*@|[?&]\w*(?:password|token|secret)=", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


def encoding_of(path: Path) -> str:
    """The encoding of a text file: by its byte-order mark, else UTF-8; raises ConfigError for anything else."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}.") from None
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise ConfigError(f"{path}: this is UTF-16 or UTF-32 text without a byte-order mark.", hint=_SAVE_AS)
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: this is not {encoding.upper()} text.", hint=_SAVE_AS) from None
    return encoding


def read_variables(path: Path) -> dict[str, str | None]:
    """The variables of the file, as they stand there; none when there is no such file."""
    from dotenv import dotenv_values

    return dict(dotenv_values(path, interpolate=False, encoding=encoding_of(path))) if path.is_file() else {}


def expand_source(
    source: Mapping[str, str | None],
    expandable: Iterable[str],
    *,
    environ: Mapping[str, str] | None = None,
    overridden: Collection[str] = (),
) -> dict[str, str]:
    """Return the non-empty values of a source by upper-case name, with those of `expandable` names expanded.

    If a name occurs in several cases, the upper-case one is used. environ: the environment, if the source is `.env`.
    A value that cannot be expanded is omitted if its name is in `overridden`; otherwise this raises ConfigError.
    """
    given = {name.upper(): text for name, text in sorted(source.items(), key=lambda one: one[0].isupper()) if text}
    for name in given.keys() & set(expandable):
        try:
            given[name] = expand_variables(given[name], source, name=name, environ=environ)
        except ConfigError:
            if name not in overridden:
                raise
            del given[name]
    return given


def expand_variables(
    text: str, variables: Mapping[str, str | None], *, name: str, environ: Mapping[str, str] | None = None
) -> str:
    """The address or folder `text` with `~`, `$NAME` and `${NAME}` replaced; `name` is the setting, for messages.

    `variables` are those of the place that the setting comes from: the environment, or `.env`. With `environ`, the
    setting comes from `.env`, and variables of the environment go first. Secrets among these are left out: a clone
    could send them to a host of its own. In the user and password of an address only `${NAME}` is a variable, because
    a password may hold a dollar sign. Raises ConfigError for a variable that is not set or may not be used.
    """

    def value(match: re.Match[str]) -> str:
        variable = match[1] or match[2]
        own, outside = variables.get(variable), (environ or {}).get(variable)
        # Where the variable is the whole text, the secret inside and its host come from one place.
        if outside is not None and not _is_secret(variable, outside, is_alone=match[0] == text):
            return outside
        if own is not None:
            return own
        if outside is not None:
            raise ConfigError(
                f"{name} in .env: the variable {variable} of the environment may be a secret, and is not copied into "
                "an address that another place names.",
                hint=f"give {name} and {variable} in one place, both in .env or both in the environment",
            )
        raise ConfigError(
            f"{name}: the variable {variable} in it is not set.", hint=f"set {variable}, or write the value itself"
        )

    scheme, login, rest = _parts(text)
    login = _replaced(login, value, braces_only=True)
    return scheme + login + _home(_replaced(rest, value, braces_only=False), scheme)


def _is_secret(variable: str, value: str, *, is_alone: bool) -> bool:
    """Whether the variable may hold a secret: by its name, or by a user and password in its value."""
    return bool(SECRET_NAMES.search(variable) or (_LOGIN.search(value) and not is_alone))


def _parts(text: str) -> tuple[str, str, str]:
    """Scheme with its slashes, user and password with the at sign, and the rest."""
    found = re.match(r"([A-Za-z][\w+.-]*:/{2,3})?(.*@)?(.*)$", text, flags=re.DOTALL)
    assert found is not None
    scheme = found[1] or ""
    if not scheme:
        return "", "", text
    return scheme, found[2] or "", found[3]


def _replaced(text: str, value: Callable[[re.Match[str]], str], *, braces_only: bool) -> str:
    return _VARIABLE.sub(lambda match: match[0] if braces_only and match[1] is None else value(match), text)


def _home(text: str, scheme: str) -> str:
    """A leading `~` as the home folder, in folders and in addresses of files."""
    if not text.startswith("~") or (scheme and not scheme.startswith(("sqlite", "file"))):
        return text
    return os.path.expanduser(text)  # noqa: PTH111 - the text is part of an address, no path
