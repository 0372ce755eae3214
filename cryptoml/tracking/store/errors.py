"""Translate the errors of mlflow, its database and its server into CryptomlError; no other module does so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.system.files import os_error
from cryptoml.tracking.store.bucket_errors import foreign_errors, translated

TOKEN_HINT = "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (for DagsHub: DAGSHUB_TOKEN)"
URI_HINT = "check MLFLOW_TRACKING_URI; for DagsHub: https://dagshub.com/<owner>/<repository>.mlflow"


# Modules that raise the exceptions about an invalid response.
_PARSERS = ("mlflow", "google.protobuf", "json", "requests", "urllib3")
_SHAPE_ERRORS = (KeyError, AttributeError, TypeError, ValueError, IndexError)
# A request that failed for one of these reasons was not sent.
_NOT_SENT = re.compile(r"refused|Failed to establish a new connection|NameResolutionError|ConnectTimeoutError")
_DAMAGED_RESPONSE = re.compile(
    r"IncompleteRead|InvalidChunk|ChunkedEncoding|Connection broken|ContentDecoding|DecodeError|failed to decode"
)
_DAMAGED = "the response is incomplete or damaged"


class WrongServerError(ConfigError):
    """The server is not an MLflow server, for example a login page; affects all requests."""


def masked(uri: str) -> str:
    """Return `uri` without user and password, for messages; passwords in the query string are masked too."""
    uri = re.sub(r"(?i)([?&][a-z_]*(?:password|passwd|pwd|token|secret)=)[^&#]*", r"\1***", uri)
    try:
        is_server = urlsplit(uri).scheme in ("http", "https")
    except ValueError:
        # The start of the host is unknown: everything up to the last @ may be a password.
        return f"***@{uri.rpartition('@')[2]}" if "@" in uri else uri
    # An unescaped database password may contain any character, slash and at sign included.
    inside = r"[^/?#]*" if is_server else ".*"
    return re.sub(rf"^([\w+.-]+://){inside}@", r"\1***@", uri)


@contextmanager
def translate_store_errors(uri: str, doing: str) -> Iterator[None]:
    """Translate errors of mlflow calls within the block; `doing` completes "could not ..." in their messages."""
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from requests.exceptions import JSONDecodeError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except CryptomlError:
        raise
    except ParseError as error:
        raise not_mlflow_error(uri, doing) from error
    except JSONDecodeError as error:
        raise _not_json(error.doc, uri, doing) from error
    except MlflowException as error:
        raise _mlflow_error(error, uri, doing) from error
    except RequestException as error:
        if error.response is not None:
            raise http_error(error.response.status_code, error.response.text, uri, doing) from error
        raise UnavailableError(
            f"{masked(uri)}: could not {doing}: {_class_name(error)}", hint="try again later: cryptoml sync"
        ) from error
    except SQLAlchemyError as error:
        raise _database_error(str(error), uri, doing) from error
    except OSError as error:
        raise os_error(error, Path(error.filename or masked(uri))) from error
    except foreign_errors() as error:
        raise translated(error, f"{masked(uri)}: could not {doing}: the artifact store") from error
    except _SHAPE_ERRORS as error:
        if not (uri.startswith("http") and _raised_by_parser(error)):
            raise
        raise _not_json(str(getattr(error, "doc", "")), uri, doing) from error


def response_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that a request can raise; classify them with `may_have_succeeded`."""
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    return (MlflowException, RequestException, ParseError, WrongServerError, *_SHAPE_ERRORS)


def not_mlflow_error(uri: str, doing: str) -> WrongServerError:
    """Return the error for a successful response that no MLflow server sends."""
    return WrongServerError(f"{masked(uri)}: could not {doing}: the server is not an MLflow server.", hint=URI_HINT)


def may_have_succeeded(error: BaseException) -> bool:
    """Return whether a failed request may have been executed: lost, late, damaged or foreign response, or 5xx."""
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    if isinstance(error, MlflowException):
        text = str(error.message)
        if _is_transport_error(text):
            return not _NOT_SENT.search(text)
        status = _response_status(error, text)
        return "valid JSON format" in text or status in (408, 429) or (status >= 500 and status != 501)
    if isinstance(error, (RequestException, ParseError, WrongServerError)):
        return True
    return isinstance(error, _SHAPE_ERRORS) and _raised_by_parser(error)


def http_error(status: int, text: str, uri: str, doing: str) -> CryptomlError:
    """Return the error and hint for an unsuccessful HTTP status."""
    where = masked(uri)
    if status == 401:
        return AccessError(f"{where}: could not {doing}: the server rejected these credentials (401).", hint=TOKEN_HINT)
    if status == 403 and "host header" in text.lower():
        return ConfigError(
            f"{where}: could not {doing}: the server rejected this host name (403).",
            hint="start it with --allowed-hosts HOST:PORT of MLFLOW_TRACKING_URI",
        )
    if status == 403:
        return AccessError(
            f"{where}: could not {doing}: these credentials lack the permission (403).",
            hint="use a token with write permission on the repository",
        )
    if status == 404 and "unsupported endpoint" in text:
        return ConfigError(f"{where}: could not {doing}: the server does not support this request.")
    if status == 404:
        return ConfigError(
            f"{where}: could not {doing}: there is no MLflow server at this address (404).", hint=URI_HINT
        )
    if 300 <= status < 400:
        return WrongServerError(f"{where}: could not {doing}: the server redirects to another address.", hint=URI_HINT)
    if status in (413, 507):
        return UnavailableError(
            f"{where}: could not {doing}: the server's storage is full ({status}).",
            hint="free some space on the server",
        )
    if status in (408, 429) or status >= 500:
        return UnavailableError(
            f"{where}: could not {doing}: the server is temporarily unavailable ({status}).",
            hint="try again later: cryptoml sync",
        )
    return ConfigError(f"{where}: could not {doing}: the server returned {status}: {_truncated(text)}")


def is_missing(error: Any) -> bool:
    """Return whether an MlflowException means that the requested item does not exist."""
    return getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


def exists_already(error: Any) -> bool:
    """Return whether an MlflowException means that the item to create already exists."""
    return getattr(error, "error_code", "") == "RESOURCE_ALREADY_EXISTS"


def _mlflow_error(error: Any, uri: str, doing: str) -> CryptomlError:
    text = str(error.message)
    if "sqlite3." in text or "sqlalchemy" in text.lower():
        return _database_error(text, uri, doing)
    if _is_transport_error(text):
        error_status = re.search(r"too many (\d{3}) error responses", text)
        if error_status:
            return http_error(int(error_status[1]), text, uri, doing)
        too_large = re.search(r"the response has more than [\d,]+ bytes", text)
        fact = (
            too_large[0] if too_large else _DAMAGED if _DAMAGED_RESPONSE.search(text) else "the server does not respond"
        )
        return UnavailableError(f"{masked(uri)}: could not {doing}: {fact}.", hint="try again later: cryptoml sync")
    if "valid JSON format" in text:
        return _not_json(text.partition("Response body: '")[2], uri, doing)
    status = _response_status(error, text)
    if "unsupported endpoint" in text:
        status = 404
    if status in (400, 409) or (status == 404 and is_missing(error)):
        return ConfigError(f"{masked(uri)}: could not {doing}: {_truncated(text)}")
    return http_error(status, text, uri, doing)


def _not_json(body: str, uri: str, doing: str) -> CryptomlError:
    """Return the error for a body that cannot be parsed: incomplete JSON, or another document such as HTML."""
    if not body.lstrip().startswith("{"):
        return not_mlflow_error(uri, doing)
    return UnavailableError(f"{masked(uri)}: could not {doing}: {_DAMAGED}.", hint="try again later: cryptoml sync")


def _is_transport_error(text: str) -> bool:
    return "failed with timeout exception" in text or ("API request to" in text and "failed with exception" in text)


def _response_status(error: Any, text: str) -> int:
    code = re.search(r"failed with error code (\d{3})", text)
    return int(code[1]) if code else _status(error)


def _raised_by_parser(error: BaseException) -> bool:
    """Return whether the error was raised in a library that parses responses, not by a bug in cryptoml."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = str(trace.tb_frame.f_globals.get("__name__", "")) if trace is not None else ""
    return module.startswith(_PARSERS)


def _status(error: Any) -> int:
    statuses = {"UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403}
    status = statuses.get(str(error.error_code))
    return status or int(error.get_http_status_code())


def _database_error(text: str, uri: str, doing: str) -> CryptomlError:
    where = masked(uri)
    if "locked" in text:
        return UnavailableError(
            f"{where}: could not {doing}: the database is locked by another program.",
            hint="end that program or wait for it, then cryptoml sync",
        )
    if "readonly" in text or "unable to open" in text:
        return AccessError(f"{where}: could not {doing}: the database is not writable.")
    if "full" in text:
        return UnavailableError(f"{where}: could not {doing}: the disk is full.", hint="free some space")
    if "malformed" in text or "not a database" in text:
        return ConfigError(
            f"{where}: could not {doing}: the database is damaged.",
            hint="move the file away; then cryptoml sync creates a new one and delivers pending runs",
        )
    # Remove the driver's exception class and the documentation link that SQLAlchemy adds to the reason.
    reason = re.sub(r"^\([\w.]+\) |\(Background on this error at: \S+\)", "", text).strip()
    return UnavailableError(
        f"{where}: could not {doing}: {_truncated(reason)}.",
        hint="check the address and the network; then cryptoml sync",
    )


def _class_name(error: Exception) -> str:
    return f"{type(error).__name__}."


def _truncated(text: str, length: int = 300) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= length else f"{one_line[:length]}..."
