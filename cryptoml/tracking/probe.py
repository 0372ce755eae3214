"""A look before the leap: does the server answer, does it speak MLflow, does it know us? Seconds, not minutes."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cryptoml import proxies
from cryptoml.errors import AccessError, ConfigError, UnavailableError
from cryptoml.tracking.translate import URI_MEND, http_error, masked

DOING = "reach the tracking server"
_BODY_LIMIT = 64 * 1024
T = TypeVar("T")


def check_address(uri: str, *, with_credentials: bool) -> None:
    """Refuse an http address with a secret inside, without a host, or with a token over a plain connection."""
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise ConfigError(
            f"{masked(uri)}: the address holds a user name or password.",
            mend="take it out; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ConfigError(f"{uri}: this is not an address.", mend=URI_MEND)
    if with_credentials and parts.scheme == "http" and not is_loopback(host):
        raise AccessError(
            f"{uri}: a token does not go over a plain http connection.", mend="use https:// in MLFLOW_TRACKING_URI"
        )


def is_loopback(host: str) -> bool:
    """Whether `host` is this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def probe_http(uri: str, *, timeout_s: float, credentials: tuple[str, str] | None) -> None:
    """One small question to the MLflow server at `uri`; raises what is wrong, in words."""
    import requests

    bearer = os.environ.get("MLFLOW_TRACKING_TOKEN")
    verify: bool | str = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or (
        os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("true", "1")
    )

    def ask() -> tuple[int, str]:
        with requests.get(
            f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name",
            params={"experiment_name": "cryptoml-is-anybody-there"},
            auth=credentials,
            headers={"Authorization": f"Bearer {bearer}"} if bearer and not credentials else {},
            timeout=timeout_s,
            allow_redirects=False,
            verify=verify,
            stream=True,
        ) as answer:
            return answer.status_code, answer.raw.read(_BODY_LIMIT, decode_content=True).decode(errors="replace")

    try:
        status, text = within(timeout_s + 1.0, ask)
    except TimeoutError:
        raise _silent(uri, timeout_s) from None
    except requests.exceptions.SSLError:
        raise ConfigError(
            f"{uri}: the server's certificate is not trusted.",
            mend="name your authority's file in MLFLOW_TRACKING_SERVER_CERT_PATH",
        ) from None
    except requests.exceptions.Timeout:
        raise _silent(uri, timeout_s) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader):
        raise ConfigError(f"{uri}: this address or its credentials cannot be sent.", mend=URI_MEND) from None
    except requests.exceptions.RequestException as error:
        raise proxies.connection_error(uri, error, reason(error)) or UnavailableError(
            f"{uri}: could not {DOING}: {reason(error)}.", mend="check the address and the network"
        ) from None
    judge(status, text, uri)


def judge(status: int, text: str, uri: str) -> None:
    """Raise unless the answer to "get experiment by name" is one that an MLflow server gives."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = None
    spoken = isinstance(document, dict)
    if status == 200 and spoken:
        return
    if status == 200:
        raise ConfigError(f"{uri}: what answers there is no MLflow server.", mend=URI_MEND)
    if status == 404 and spoken and document.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
        return
    raise proxies.status_error(uri, status) or http_error(status, text, uri, DOING)


def probe_tcp(uri: str, *, timeout_s: float, default_port: int) -> None:
    """Whether anything listens at the host and port of a database address."""
    parts = urlsplit(uri)
    place = (parts.hostname or "localhost", parts.port or default_port)
    try:
        within(timeout_s + 1.0, lambda: socket.create_connection(place, timeout=timeout_s).close())
    except TimeoutError:
        raise _silent(uri, timeout_s) from None
    except OSError as error:
        raise UnavailableError(
            f"{masked(uri)}: could not reach the database: {(error.strerror or str(error)).lower()}.",
            mend="check the address and the network",
        ) from None


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or TimeoutError: name look-ups and slow drips know no time limit of their own."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread and raised there
            failure.append(error)

    thread = threading.Thread(target=run, name="cryptoml-probe", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError
    return outcome[0]


def _silent(uri: str, timeout_s: float) -> UnavailableError:
    return UnavailableError(
        f"{masked(uri)}: could not {DOING}: no answer within {timeout_s:g} s.",
        mend="check the server, or wait longer: CRYPTOML_STORE_TIMEOUT_S",
    )


def reason(error: Exception) -> str:
    """Why a connection failed."""
    text = str(error).lower()
    for sign, words in (
        ("refused", "the connection is refused"),
        ("resolve", "there is no host of that name"),
        ("name or service", "there is no host of that name"),
        ("unreachable", "the network is unreachable"),
        ("proxy", "the proxy does not let it through"),
    ):
        if sign in text:
            return words
    return "the connection broke"
