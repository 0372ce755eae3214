"""Check within seconds that a tracking server responds, is an MLflow server and accepts the credentials."""

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
    """Raise for an http(s) address that contains credentials, has no host, or would send a token over plain http."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise ConfigError(f"{masked(uri)}: is not a valid address.", hint=URI_HINT) from None
    if "@" in parts.netloc:
        raise ConfigError(
            f"{masked(uri)}: the address contains a user name or password.",
            hint="remove it; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ConfigError(f"{uri}: is not a valid address.", hint=URI_HINT)
    if with_credentials and parts.scheme == "http" and not is_loopback(host):
        raise AccessError(f"{uri}: tokens are not sent over plain http.", hint="use https:// in MLFLOW_TRACKING_URI")


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def probe_http(uri: str, *, timeout_s: float, credentials: tuple[str, str] | None) -> None:
    """Send a small request to the MLflow server at `uri`; raise a CryptomlError if it fails."""
    status, text = request_mlflow(
        uri,
        "experiments/get-by-name",
        {"experiment_name": "cryptoml-probe"},
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
    """Send a request to MLflow's REST API once; return status and body text.

    values: the query, or the JSON body with `write`. Raises UnavailableError if no complete response arrives,
    ConfigError for an untrusted certificate or an invalid address, AccessError if a secret would be sent over plain
    http.
    """
    import requests
    import urllib3

    proxies.check_addresses()
    bearer = os.environ.get("MLFLOW_TRACKING_TOKEN")
    check_address(uri, with_credentials=credentials is not None or bool(bearer))
    verify: bool | str = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or (
        os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("true", "1")
    )

    def send() -> tuple[int, str]:
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
        ) as response:
            return response.status_code, response.raw.read(_BODY_LIMIT, decode_content=True).decode(errors="replace")

    try:
        return run_with_timeout(timeout_s + 1.0, send)
    except TimeoutError:
        raise _timeout_error(uri, timeout_s, doing) from None
    except requests.exceptions.SSLError:
        raise ConfigError(
            f"{uri}: the server's certificate is not trusted.",
            hint="set your CA file in MLFLOW_TRACKING_SERVER_CERT_PATH",
        ) from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise _timeout_error(uri, timeout_s, doing) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader):
        raise ConfigError(f"{uri}: the address or the credentials contain invalid characters.", hint=URI_HINT) from None
    except requests.exceptions.RequestException as error:
        raise proxies.connection_error(uri, error, reason(error)) or UnavailableError(
            f"{uri}: could not {doing}: {reason(error)}.", hint="check the address and the network"
        ) from None
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        # The body is read with urllib3 directly, which raises its own exceptions.
        raise _damaged_error(uri, doing) from None


def check_response(status: int, text: str, uri: str) -> None:
    """Raise unless the response to "get experiment by name" is that of an MLflow server."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = None
    is_object = isinstance(document, dict)
    if status == 200 and is_object:
        return
    if status == 200 and document is None and not text.lstrip().startswith("<"):
        # HTML comes from another kind of server; incomplete JSON or other bytes mean a damaged response.
        raise _damaged_error(uri, ACTION)
    if status == 200:
        raise ConfigError(f"{uri}: the server is not an MLflow server.", hint=URI_HINT)
    if status == 404 and is_object and document.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
        return
    raise proxies.status_error(uri, status) or http_error(status, text, uri, ACTION)


def probe_tcp(uri: str, *, timeout_s: float, default_port: int) -> None:
    """Raise UnavailableError if nothing listens at the host and port of a database address."""
    parts = urlsplit(uri)
    address = (parts.hostname or "localhost", parts.port or default_port)
    try:
        run_with_timeout(timeout_s + 1.0, lambda: socket.create_connection(address, timeout=timeout_s).close())
    except TimeoutError:
        raise _timeout_error(uri, timeout_s) from None
    except OSError as error:
        raise UnavailableError(
            f"{masked(uri)}: could not reach the database: {(error.strerror or str(error)).lower()}.",
            hint="check the address and the network",
        ) from None


def run_with_timeout(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of `work` or raise TimeoutError; DNS lookups and slow responses have no own timeout."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread and raised there
            failure.append(error)

    thread = threading.Thread(target=run, name="cryptoml-probe", daemon=True)
    thread.start()
    remaining_s = seconds
    while thread.is_alive() and remaining_s > 0:
        began = time.monotonic()
        thread.join(min(SLICE_S, remaining_s))
        # If a wait took much longer than requested, this process was not running: do not blame the server.
        remaining_s -= min(time.monotonic() - began, 2 * SLICE_S)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError
    return outcome[0]


def _damaged_error(uri: str, doing: str) -> UnavailableError:
    return UnavailableError(
        f"{masked(uri)}: could not {doing}: the response is incomplete or damaged.",
        hint="check the server and any proxy; try again later: cryptoml sync",
    )


def _timeout_error(uri: str, timeout_s: float, doing: str = ACTION) -> UnavailableError:
    return UnavailableError(
        f"{masked(uri)}: could not {doing}: no response within {timeout_s:g} s.",
        hint="check the server, or set a longer CRYPTOML_STORE_TIMEOUT_S",
    )


def reason(error: Exception) -> str:
    """Return why a connection failed."""
    text = str(error).lower()
    for pattern, description in (
        ("refused", "connection refused"),
        ("resolve", "host not found"),
        ("name or service", "host not found"),
        ("unreachable", "network unreachable"),
        ("proxy", "the proxy refused the connection"),
    ):
        if pattern in text:
            return description
    return "connection lost"
