"""What mlflow, its database and its server say, turned into errors made for people. The one such place."""

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
URI_HINT = "check MLFLOW_TRACKING_URI; DagsHub's ends in .mlflow: https://dagshub.com/<owner>/<repository>.mlflow"


# Where exceptions about an answer's shape come from.
_PARSERS = ("mlflow", "google.protobuf", "json", "requests", "urllib3")
_SHAPE_ERRORS = (KeyError, AttributeError, TypeError, ValueError, IndexError)
# A request with one of these reasons never left this machine.
_NOT_SENT = re.compile(r"refused|Failed to establish a new connection|NameResolutionError|ConnectTimeoutError")
_BROKEN_ANSWER = re.compile(
    r"IncompleteRead|InvalidChunk|ChunkedEncoding|Connection broken|ContentDecoding|DecodeError|failed to decode"
)
_DAMAGED = "the answer broke off or is damaged"


class WrongServerError(ConfigError):
    """What answers is not an MLflow server, such as a login page; true for all requests, not for one run."""


def masked(uri: str) -> str:
    """`uri` without user and password, for messages; passwords among its options (?password=) are hidden as well."""
    uri = re.sub(r"(?i)([?&][a-z_]*(?:password|passwd|pwd|token|secret)=)[^&#]*", r"\1***", uri)
    try:
        is_server = urlsplit(uri).scheme in ("http", "https")
    except ValueError:
        # Where the host begins is not known, so everything up to the last @ may be a password.
        return f"***@{uri.rpartition('@')[2]}" if "@" in uri else uri
    # A database's password may hold any character, the slash and the at sign included, where it was not escaped.
    inside = r"[^/?#]*" if is_server else ".*"
    return re.sub(rf"^([\w+.-]+://){inside}@", r"\1***@", uri)


@contextmanager
def translate_store_errors(uri: str, doing: str) -> Iterator[None]:
    """Run mlflow calls; `doing` completes "could not ..." in what is raised."""
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
            f"{masked(uri)}: could not {doing}: {_brief(error)}", hint="try again later: cryptoml sync"
        ) from error
    except SQLAlchemyError as error:
        raise _database_error(str(error), uri, doing) from error
    except OSError as error:
        raise os_error(error, Path(error.filename or masked(uri))) from error
    except foreign_errors() as error:
        raise translated(error, f"{masked(uri)}: could not {doing}: the place of the artifacts") from error
    except _SHAPE_ERRORS as error:
        if not (uri.startswith("http") and _raised_by_parser(error)):
            raise
        raise _not_json(str(getattr(error, "doc", "")), uri, doing) from error


def response_errors() -> tuple[type[Exception], ...]:
    """What a request can raise; `may_have_succeeded` sorts them."""
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    return (MlflowException, RequestException, ParseError, WrongServerError, *_SHAPE_ERRORS)


def not_mlflow_error(uri: str, doing: str) -> WrongServerError:
    """The error for a success status whose body is not what an MLflow server sends."""
    return WrongServerError(f"{masked(uri)}: could not {doing}: what answers there is no MLflow server.", hint=URI_HINT)


def may_have_succeeded(error: BaseException) -> bool:
    """Whether a failed request may have been carried out: a lost, late, damaged or foreign answer, or a 5xx."""
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    if isinstance(error, MlflowException):
        text = str(error.message)
        if _in_transport(text):
            return not _NOT_SENT.search(text)
        status = _answered_status(error, text)
        return "valid JSON format" in text or status in (408, 429) or (status >= 500 and status != 501)
    if isinstance(error, (RequestException, ParseError, WrongServerError)):
        return True
    return isinstance(error, _SHAPE_ERRORS) and _raised_by_parser(error)


def http_error(status: int, text: str, uri: str, doing: str) -> CryptomlError:
    """The error for an HTTP status that is not a success, with the hint that belongs to it."""
    where = masked(uri)
    if status == 401:
        return AccessError(
            f"{where}: could not {doing}: the server does not know these credentials (401).", hint=TOKEN_HINT
        )
    if status == 403 and "host header" in text.lower():
        return ConfigError(
            f"{where}: could not {doing}: the server refuses this host name (403).",
            hint="start it with --allowed-hosts naming the host and port of MLFLOW_TRACKING_URI",
        )
    if status == 403:
        return AccessError(
            f"{where}: could not {doing}: these credentials may not do that (403).",
            hint="use a token with write permission on the repository",
        )
    if status == 404 and "unsupported endpoint" in text:
        return ConfigError(f"{where}: could not {doing}: this server lacks that function.")
    if status == 404:
        return ConfigError(f"{where}: could not {doing}: there is no MLflow server there (404).", hint=URI_HINT)
    if 300 <= status < 400:
        return WrongServerError(
            f"{where}: could not {doing}: the server is somewhere else (it redirects).", hint=URI_HINT
        )
    if status in (413, 507):
        return UnavailableError(
            f"{where}: could not {doing}: there is no room left ({status}).", hint="free some room on the server"
        )
    if status in (408, 429) or status >= 500:
        return UnavailableError(
            f"{where}: could not {doing}: the server refuses for now ({status}).",
            hint="try again later: cryptoml sync",
        )
    return ConfigError(f"{where}: could not {doing}: the server answers {status}: {_cut(text)}")


def is_missing(error: Any) -> bool:
    """Whether an MlflowException says that the thing asked for does not exist."""
    return getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


def exists_already(error: Any) -> bool:
    """Whether an MlflowException says that the thing to be made is there already."""
    return getattr(error, "error_code", "") == "RESOURCE_ALREADY_EXISTS"


def _mlflow_error(error: Any, uri: str, doing: str) -> CryptomlError:
    text = str(error.message)
    if "sqlite3." in text or "sqlalchemy" in text.lower():
        return _database_error(text, uri, doing)
    if _in_transport(text):
        refused = re.search(r"too many (\d{3}) error responses", text)
        if refused:
            return http_error(int(refused[1]), text, uri, doing)
        too_much = re.search(r"the answer has more than [\d,]+ bytes", text)
        fact = too_much[0] if too_much else _DAMAGED if _BROKEN_ANSWER.search(text) else "the server does not answer"
        return UnavailableError(f"{masked(uri)}: could not {doing}: {fact}.", hint="try again later: cryptoml sync")
    if "valid JSON format" in text:
        return _not_json(text.partition("Response body: '")[2], uri, doing)
    status = _answered_status(error, text)
    if "unsupported endpoint" in text:
        status = 404
    if status in (400, 409) or (status == 404 and is_missing(error)):
        return ConfigError(f"{masked(uri)}: could not {doing}: {_cut(text)}")
    return http_error(status, text, uri, doing)


def _not_json(body: str, uri: str, doing: str) -> CryptomlError:
    """The error for a body that cannot be parsed: half of a JSON document, or a page of something else."""
    if not body.lstrip().startswith("{"):
        return not_mlflow_error(uri, doing)
    return UnavailableError(f"{masked(uri)}: could not {doing}: {_DAMAGED}.", hint="try again later: cryptoml sync")


def _in_transport(text: str) -> bool:
    return "failed with timeout exception" in text or ("API request to" in text and "failed with exception" in text)


def _answered_status(error: Any, text: str) -> int:
    named = re.search(r"failed with error code (\d{3})", text)
    return int(named[1]) if named else _status(error)


def _raised_by_parser(error: BaseException) -> bool:
    """Whether the innermost frame is library code that reads an answer, so that cryptoml's own faults stay visible."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = str(trace.tb_frame.f_globals.get("__name__", "")) if trace is not None else ""
    return module.startswith(_PARSERS)


def _status(error: Any) -> int:
    by_code = {"UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403}
    code = by_code.get(str(error.error_code))
    return code or int(error.get_http_status_code())


def _database_error(text: str, uri: str, doing: str) -> CryptomlError:
    where = masked(uri)
    if "locked" in text:
        return UnavailableError(
            f"{where}: could not {doing}: another program keeps the database locked.",
            hint="end that program or wait for it, then cryptoml sync",
        )
    if "readonly" in text or "unable to open" in text:
        return AccessError(f"{where}: could not {doing}: the database cannot be written.")
    if "full" in text:
        return UnavailableError(f"{where}: could not {doing}: the disk is full.", hint="free some space")
    if "malformed" in text or "not a database" in text:
        return ConfigError(
            f"{where}: could not {doing}: the database is damaged.",
            hint="move the file away; a new one is made, and cryptoml sync delivers what is pending",
        )
    # SQLAlchemy puts the driver's exception class before the reason and a link to its own documentation after it.
    reason = re.sub(r"^\([\w.]+\) |\(Background on this error at: \S+\)", "", text).strip()
    return UnavailableError(
        f"{where}: could not {doing}: {_cut(reason)}.", hint="check the address and the network; then cryptoml sync"
    )


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}."


def _cut(text: str, length: int = 300) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= length else f"{one_line[:length]}..."
