"""What mlflow, its database and its server say, turned into errors made for people. The one such place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.tracking.bucket_errors import foreign_errors, translated
from cryptoml.tracking.files import os_error

TOKEN_MEND = "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (for DagsHub: DAGSHUB_TOKEN)"
URI_MEND = "check MLFLOW_TRACKING_URI; DagsHub's ends in .mlflow: https://dagshub.com/<owner>/<repository>.mlflow"


def masked(uri: str) -> str:
    """`uri` without user and password, for messages; passwords among its options (?password=) are hidden as well."""
    uri = re.sub(r"(?i)([?&][a-z_]*(?:password|passwd|pwd|token|secret)=)[^&#]*", r"\1***", uri)
    # A database's password may hold any character, the slash and the at sign included, where it was not escaped.
    inside = r"[^/?#]*" if uri.startswith(("http://", "https://")) else ".*"
    return re.sub(rf"^([\w+.-]+://){inside}@", r"\1***@", uri)


@contextmanager
def store_in_words(uri: str, doing: str) -> Iterator[None]:
    """Run mlflow calls; `doing` completes "could not ..." in what is raised."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except CryptomlError:
        raise
    except MlflowException as error:
        raise _mlflow_error(error, uri, doing) from error
    except RequestException as error:
        if error.response is not None:
            raise http_error(error.response.status_code, error.response.text, uri, doing) from error
        raise UnavailableError(
            f"{masked(uri)}: could not {doing}: {_brief(error)}", mend="try again later: cryptoml sync"
        ) from error
    except SQLAlchemyError as error:
        raise _database_error(str(error), uri, doing) from error
    except OSError as error:
        raise os_error(error, Path(error.filename or masked(uri))) from error
    except foreign_errors() as error:
        raise translated(error, f"{masked(uri)}: could not {doing}: the place of the artifacts") from error


def http_error(status: int, text: str, uri: str, doing: str) -> CryptomlError:
    """The error for an HTTP status that is not a success, with the mend that belongs to it."""
    where = masked(uri)
    if status == 401:
        return AccessError(
            f"{where}: could not {doing}: the server does not know these credentials (401).", mend=TOKEN_MEND
        )
    if status == 403 and "host header" in text.lower():
        return ConfigError(
            f"{where}: could not {doing}: the server refuses this host name (403).",
            mend="start it with --allowed-hosts naming the host and port of MLFLOW_TRACKING_URI",
        )
    if status == 403:
        return AccessError(
            f"{where}: could not {doing}: these credentials may not do that (403).",
            mend="use a token with write permission on the repository",
        )
    if status == 404 and "unsupported endpoint" in text:
        return ConfigError(f"{where}: could not {doing}: this server lacks that function.")
    if status == 404:
        return ConfigError(f"{where}: could not {doing}: there is no MLflow server there (404).", mend=URI_MEND)
    if 300 <= status < 400:
        return ConfigError(f"{where}: could not {doing}: the server is somewhere else (it redirects).", mend=URI_MEND)
    if status in (413, 507):
        return UnavailableError(
            f"{where}: could not {doing}: there is no room left ({status}).", mend="free some room on the server"
        )
    if status in (408, 429) or status >= 500:
        return UnavailableError(
            f"{where}: could not {doing}: the server refuses for now ({status}).",
            mend="try again later: cryptoml sync",
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
    if "failed with timeout exception" in text or ("API request to" in text and "failed with exception" in text):
        refused = re.search(r"too many (\d{3}) error responses", text)
        if refused:
            return http_error(int(refused[1]), text, uri, doing)
        return UnavailableError(
            f"{masked(uri)}: could not {doing}: the server does not answer.", mend="try again later: cryptoml sync"
        )
    if "valid JSON format" in text:
        return ConfigError(f"{masked(uri)}: could not {doing}: what answers there is no MLflow server.", mend=URI_MEND)
    told = re.search(r"failed with error code (\d{3})", text)
    status = int(told[1]) if told else _status(error)
    if "unsupported endpoint" in text:
        status = 404
    if status in (400, 409) or (status == 404 and is_missing(error)):
        return ConfigError(f"{masked(uri)}: could not {doing}: {_cut(text)}")
    return http_error(status, text, uri, doing)


def _status(error: Any) -> int:
    by_code = {"UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403}
    code = by_code.get(str(error.error_code))
    return code if code else int(error.get_http_status_code())


def _database_error(text: str, uri: str, doing: str) -> CryptomlError:
    where = masked(uri)
    if "locked" in text:
        return UnavailableError(
            f"{where}: could not {doing}: another program keeps the database locked.",
            mend="end that program or wait for it, then cryptoml sync",
        )
    if "readonly" in text or "unable to open" in text:
        return AccessError(f"{where}: could not {doing}: the database cannot be written.")
    if "full" in text:
        return UnavailableError(f"{where}: could not {doing}: the disk is full.", mend="free some space")
    if "malformed" in text or "not a database" in text:
        return ConfigError(
            f"{where}: could not {doing}: the database is damaged.",
            mend="move the file away; a new one is made, and cryptoml sync delivers what is pending",
        )
    return UnavailableError(f"{where}: could not {doing}: {_cut(text)}")


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}."


def _cut(text: str, length: int = 300) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= length else f"{one_line[:length]}..."
