"""Preflight check of a tracking server: it answers, speaks MLflow and accepts the credentials, within seconds."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cryptoml.errors import AccessError, ConfigError, UnavailableError
from cryptoml.system import proxies
from cryptoml.tracking.store.errors import URI_HINT, http_error, masked

ACTION = "reach the tracking server"
_BODY_LIMIT = 1024 * 1024
SLICE_S = 0.2
T = TypeVar("T")


def check_address(uri: str, *, with_credentials: bool) -> None:
    """Refuse an http address with a secret inside, without a host, or with a token over a plain connection."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise ConfigError(f"{masked(uri)}: this is not an address.", hint=URI_HINT) from None
    if "@" in parts.netloc:
        raise ConfigError(
            f"{masked(uri)}: the address holds a user name or password.",
            hint="take it out; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ConfigError(f"{uri}: this is not an address.", hint=URI_HINT)
    if with_credentials and parts.scheme == "http" and not is_loopback(host):
        raise AccessError(
            f"{uri}: a token does not go over a plain http connection.", hint="use https:// in MLFLOW_TRACKING_URI"
        )


def is_loopback(host: str) -> bool:
    """Whether `host` is this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def probe_http(uri: str, *, timeout_s: float, credentials: tuple[str, str] | None) -> None:
    """One small question to the MLflow server at `uri`; raises what is wrong, in words."""
    status, text = request_mlflow(
        uri,
        "experiments/get-by-name",
        {"experiment_name": "cryptoml-is-anybody-there"},
        timeout_s=timeout_s,
        credentials=credentials,
    )
    check_response(status, text, uri)


def request_mlflow(
    uri: str,
    function: str,
    values: Mapping[str, str],
    *,
    timeout_s: float,
    credentials: tuple[str, str] | None,
    write: bool = False,
    doing: str = ACTION,
) -> tuple[int, str]:
    """One request to MLflow's REST API, sent once; gives the status and the body as text.

    values go as query, or as JSON body with `write`. Raises UnavailableError when no whole answer comes,
    ConfigError for an untrusted certificate or an address that cannot be sent, AccessError before a secret would go
    over plain http.
    """
    import requests
    import urllib3

    proxies.check_addresses()
    bearer = os.environ.get("MLFLOW_TRACKING_TOKEN")
    check_address(uri, with_credentials=credentials is not None or bool(bearer))
    verify: bool | str = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or (
        os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("true", "1")
    )

    def ask() -> tuple[int, str]:
        with requests.request(
            "POST" if write else "GET",
            f"{uri.rstrip('/')}/api/2.0/mlflow/{function}",
            params=None if write else dict(values),
            json=dict(values) if write else None,
            auth=credentials,
            headers={"Authorization": f"Bearer {bearer}"} if bearer and not credentials else {},
            timeout=timeout_s,
            allow_redirects=False,
            verify=verify,
            stream=True,
        ) as answer:
            return answer.status_code, answer.raw.read(_BODY_LIMIT, decode_content=True).decode(errors="replace")

    try:
        return run_with_timeout(timeout_s + 1.0, ask)
    except TimeoutError:
        raise _timeout_error(uri, timeout_s, doing) from None
    except requests.exceptions.SSLError:
        raise ConfigError(
            f"{uri}: the server's certificate is not trusted.",
            hint="name your authority's file in MLFLOW_TRACKING_SERVER_CERT_PATH",
        ) from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise _timeout_error(uri, timeout_s, doing) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader):
        raise ConfigError(f"{uri}: this address or its credentials cannot be sent.", hint=URI_HINT) from None
    except requests.exceptions.RequestException as error:
        raise proxies.connection_error(uri, error, reason(error)) or UnavailableError(
            f"{uri}: could not {doing}: {reason(error)}.", hint="check the address and the network"
        ) from None
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        # The body is read past requests: what breaks there is not one of its own exceptions.
        raise _damaged_error(uri, doing) from None


def check_response(status: int, text: str, uri: str) -> None:
    """Raise unless the answer to "get experiment by name" is one that an MLflow server gives."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = None
    spoken = isinstance(document, dict)
    if status == 200 and spoken:
        return
    if status == 200 and document is None and not text.lstrip().startswith("<"):
        # A page of HTML means another kind of server; half a document, or bytes of no kind, a fault on the way.
        raise _damaged_error(uri, ACTION)
    if status == 200:
        raise ConfigError(f"{uri}: what answers there is no MLflow server.", hint=URI_HINT)
    if status == 404 and spoken and document.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
        return
    raise proxies.status_error(uri, status) or http_error(status, text, uri, ACTION)


def probe_tcp(uri: str, *, timeout_s: float, default_port: int) -> None:
    """Whether anything listens at the host and port of a database address."""
    parts = urlsplit(uri)
    place = (parts.hostname or "localhost", parts.port or default_port)
    try:
        run_with_timeout(timeout_s + 1.0, lambda: socket.create_connection(place, timeout=timeout_s).close())
    except TimeoutError:
        raise _timeout_error(uri, timeout_s) from None
    except OSError as error:
        raise UnavailableError(
            f"{masked(uri)}: could not reach the database: {(error.strerror or str(error)).lower()}.",
            hint="check the address and the network",
        ) from None


def run_with_timeout(seconds: float, work: Callable[[], T]) -> T:
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
    left = seconds
    while thread.is_alive() and left > 0:
        began = time.monotonic()
        thread.join(min(SLICE_S, left))
        # A wait that took much longer than asked for means that this process did not run: that is not the server's.
        left -= min(time.monotonic() - began, 2 * SLICE_S)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError
    return outcome[0]


def _damaged_error(uri: str, doing: str) -> UnavailableError:
    return UnavailableError(
        f"{masked(uri)}: could not {doing}: the answer is incomplete or damaged.",
        hint="check the server and what is between; try again later: cryptoml sync",
    )


def _timeout_error(uri: str, timeout_s: float, doing: str = ACTION) -> UnavailableError:
    return UnavailableError(
        f"{masked(uri)}: could not {doing}: no answer within {timeout_s:g} s.",
        hint="check the server, or wait longer: CRYPTOML_STORE_TIMEOUT_S",
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
