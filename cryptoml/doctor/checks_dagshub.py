"""Checks of DagsHub: network, credentials, repository, and that all settings name the same repository."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from cryptoml.doctor.context import Context
from cryptoml.doctor.findings import Finding, check, error, ok, warning
from cryptoml.errors import CryptomlError
from cryptoml.remotes import git_remote
from cryptoml.remotes.http import send_request
from cryptoml.system.proxies import proxy_of
from cryptoml.tracking.store.server_probe import run_with_timeout

SKEW_S = 60.0
LOGIN_ATTEMPTS = 4


def uses_dagshub(context: Context) -> bool:
    """Return whether the project uses DagsHub."""
    if context.settings is None:
        return False
    remote = context.dvc_remote
    host = context.settings.dagshub_host.rstrip("/")
    return bool(
        context.settings.dagshub_token
        or context.settings.dagshub_repo
        or context.settings.store_is_dagshub()
        or (remote is not None and remote.url.startswith(host))
        or any(git_remote.slug_at(url, host) for url in context.git_urls.values())
    )


@check("same-repository", needs=("settings",))
def same_repository(context: Context) -> Iterator[Finding]:
    """Environment, .env, git and DVC name the same DagsHub repository."""
    host = context.config.dagshub_host
    slugs: dict[str, str] = {}
    if context.config.dagshub_repo and (context.config.dagshub_username or "/" in context.config.dagshub_repo):
        slugs["DAGSHUB_REPO"] = context.config.dagshub_slug()
    if context.config.tracking_uri:
        _add_slug(
            slugs,
            f"MLFLOW_TRACKING_URI ({context.origin_of('MLFLOW_TRACKING_URI')})",
            context.config.tracking_uri,
            host,
        )
    for name, url in context.git_urls.items():
        _add_slug(slugs, f"git remote {name}", url, host)
    if context.dvc_remote is not None:
        _add_slug(slugs, f"DVC remote {context.dvc_remote.name}", context.dvc_remote.url, host)
    if len({slug.lower() for slug in slugs.values()}) > 1:
        listed = ", ".join(f"{source}: {slug}" for source, slug in slugs.items())
        yield error(
            f"different repositories are configured: {listed}",
            "choose one: cryptoml setup-remotes --repo owner/name --force; remove stale variables",
        )
    else:
        yield ok(f"all name {next(iter(slugs.values()))}" if slugs else "DagsHub is not used")


def _add_slug(slugs: dict[str, str], source: str, url: str, host: str) -> None:
    for ending in (".mlflow", ".dvc", ".s3"):
        url = url.removesuffix(ending)
    slug = git_remote.slug_at(url, host)
    if slug:
        slugs[source] = slug


@check("credentials", needs=("settings",))
def credentials(context: Context) -> Iterator[Finding]:
    """User name, password and token are complete and well-formed."""
    from cryptoml.remotes.dagshub import check_token_form

    user, password = (context.value_of(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    healthy = True
    if context.config.dagshub_token is not None:
        check_token_form(context.config.dagshub_token.get_secret_value())
    if user == "token":
        healthy = False
        yield error(
            'MLFLOW_TRACKING_USERNAME is "token", which DagsHub rejects (401)',
            "set it to your DagsHub user name: cryptoml setup-remotes",
        )
    if bool(user) != bool(password) and context.config.store_is_dagshub():
        healthy = False
        given, missing = ("USERNAME", "PASSWORD") if user else ("PASSWORD", "USERNAME")
        yield (warning if context.config.dagshub_token else error)(
            f"MLFLOW_TRACKING_{given} is set but MLFLOW_TRACKING_{missing} is not, so MLflow's client sends neither",
            "set both: cryptoml setup-remotes",
        )
    if uses_dagshub(context) and context.config.dagshub_token is None and not context.environ.get("DAGSHUB_USER_TOKEN"):
        healthy = False
        yield warning(
            "DAGSHUB_TOKEN is not set: scripts that call dagshub.init open a browser and wait indefinitely",
            "put DAGSHUB_TOKEN into .env: cryptoml setup-remotes",
        )
    if healthy:
        yield ok("complete" if user or context.config.dagshub_token else "not set, and not needed")


@check("network", needs=("settings",), network=True)
def network(context: Context) -> Iterator[Finding]:
    """Each server is reachable: DNS, connection, certificate, proxy."""
    addresses = {context.config.mlflow_uri()}
    if uses_dagshub(context):
        addresses.add(context.config.dagshub_host)
    if context.dvc_remote is not None and context.dvc_remote.is_http:
        addresses.add(context.dvc_remote.url)
    servers = sorted({_server(url) for url in addresses if url.startswith(("http://", "https://"))})
    if not servers:
        yield ok("no server in use")
    for scheme, host, port in servers:
        url = f"{scheme}://{host}:{port}"
        proxy = proxy_of(url)
        yield (
            _connection(scheme, host, port, context.timeout_s)
            if proxy is None
            else _through_proxy(url, proxy, context.timeout_s)
        )


def _through_proxy(url: str, proxy: str, timeout_s: float) -> Finding:
    """Test whether the proxy forwards a request for `url`; any response of the server is sufficient."""
    try:
        response = send_request("HEAD", url, timeout_s=timeout_s)
    except CryptomlError as failure:
        return error(failure.fact.rstrip("."), failure.hint)
    return ok(f"{url.partition('//')[2]}: reachable through the proxy {proxy} (status {response.status})")


def _server(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _connection(scheme: str, host: str, port: int, timeout_s: float) -> Finding:
    def connect() -> None:
        with socket.create_connection((host, port), timeout=timeout_s) as plain:
            if scheme == "https":
                authority = os.environ.get("SSL_CERT_FILE")
                with ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname=host):
                    pass

    began = time.monotonic()
    try:
        run_with_timeout(timeout_s + 1.0, connect)
    except socket.gaierror:
        return error(f"{host}: unknown host (DNS)", "check the name and your network")
    except ssl.SSLError as failure:
        return error(
            f"{host}: its certificate is not trusted: {failure.reason}",
            "set SSL_CERT_FILE to the certificate file of your authority",
        )
    except TimeoutError:
        return error(f"{host}:{port}: no connection within {timeout_s:g} s", "check firewall and proxy (HTTPS_PROXY)")
    except OSError as failure:
        return error(
            f"{host}:{port}: {(failure.strerror or str(failure)).lower()}", "check address, firewall and proxy"
        )
    return ok(f"{host}:{port} responds in {1000 * (time.monotonic() - began):.0f} ms")


@check("dagshub-token", needs=("credentials",), network=True)
def dagshub_token(context: Context) -> Iterator[Finding]:
    """DagsHub accepts the token."""
    if not uses_dagshub(context):
        yield ok("DagsHub is not used")
        return
    name = context.hub.login()
    yield ok(f"valid; it belongs to {name}")
    if context.config.dagshub_username and context.config.dagshub_username.lower() != name.lower():
        yield warning(
            f"DAGSHUB_USERNAME is {context.config.dagshub_username}, but the token belongs to {name}",
            f"set DAGSHUB_USERNAME={name}",
        )


@check("dagshub-repository", needs=("dagshub-token",), network=True)
def dagshub_repository(context: Context) -> Iterator[Finding]:
    """The repository exists and the token has write permission."""
    if not uses_dagshub(context):
        yield ok("DagsHub is not used")
        return
    slug = context.config.dagshub_slug()
    found = context.hub.find_repository(slug)
    if found is None:
        yield error(
            f"{slug}: does not exist, or this token has no access",
            "correct DAGSHUB_REPO, or: cryptoml setup-remotes --create",
        )
    elif not found.may_push:
        yield error(
            f"{slug}: read-only for this token, so pushes and runs fail with 403", "ask its owner for write permission"
        )
    else:
        yield ok(
            f"{slug} ({'private' if found.private else 'public: data and runs are visible to everyone'}), writable"
        )


@check("dagshub-steady", needs=("dagshub-token",), network=True)
def dagshub_steady(context: Context) -> Iterator[Finding]:
    """DagsHub responds reliably."""
    if not uses_dagshub(context):
        yield ok("DagsHub is not used")
        return
    failures: Counter[str] = Counter()
    for _ in range(LOGIN_ATTEMPTS):
        try:
            context.hub.login()
        except CryptomlError as failure:
            failures[failure.fact.rpartition("(")[2].rstrip(").") or "no response"] += 1
    if failures:
        counts = ", ".join(f"{count} x {reason}" for reason, count in failures.items())
        yield warning(
            f"some of {LOGIN_ATTEMPTS} requests failed: {counts}",
            "wait a few minutes, then run cryptoml sync; runs are kept in the journal until then",
        )
    else:
        yield ok(f"{LOGIN_ATTEMPTS} of {LOGIN_ATTEMPTS} requests succeeded")


@check("clock", needs=("dagshub-token",), network=True)
def clock(context: Context) -> Iterator[Finding]:
    """The clocks of this machine and the server agree."""
    if not uses_dagshub(context):
        yield ok("no server in use")
        return
    skew = context.hub.clock_skew_s()
    if skew is not None and abs(skew) > SKEW_S:
        direction = "behind" if skew > 0 else "ahead of"
        yield warning(
            f"this machine's clock is {abs(skew):,.0f} s {direction} the server's; tokens and run times may be wrong",
            "set the clock: timedatectl set-ntp true",
        )
    else:
        yield ok(f"within {SKEW_S:g} s of the server's" if skew is not None else "the server does not send its time")
