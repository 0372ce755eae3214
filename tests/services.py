"""Real services for tests, on loopback and in temporary folders: PostgreSQL, MariaDB, an S3 server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_WITHIN_S = 240
PASSWORD = "pass/w@rd-7291"
ESCAPED = "pass%2Fw%40rd-7291"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str, pattern: str = "") -> str:
    """A program on the PATH or below `pattern`; `make services` installs what is missing."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/usr/lib/postgresql")
    below = sorted(Path("/").glob(pattern)) if pattern else []
    assert found or below, f"no {name}: make services installs it"
    return str(below[-1]) if below else str(found)


@contextmanager
def own_folder() -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder of an unprivileged user, as database servers refuse to run as root; how to start programs as it."""
    folder = Path(tempfile.mkdtemp(prefix="cryptoml-service-", dir="/tmp"))
    extra: dict[str, str] = {}
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        extra = {"user": "nobody"}
    try:
        yield folder, extra
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(command: list[str], port: int, log: Path, **extra: object) -> Iterator[None]:
    """The program, answering at its port; ended afterwards."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, **extra
        )  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        # Servers start workers of their own.
        for kind in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, kind)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)


@contextmanager
def postgresql() -> Iterator[int]:
    """A PostgreSQL server; its port. User `owner` with PASSWORD may do everything."""
    with own_folder() as (folder, extra):
        initdb = program("initdb", "usr/lib/postgresql/*/bin/initdb")
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if extra:
            os.chown(secret, 65534, 65534)
        command = [initdb, "-D", str(folder / "data"), "-U", "owner", "-A", "scram-sha-256", "--pwfile", str(secret)]
        subprocess.run([*command, "-N", "-E", "UTF8", "--locale=C"], check=True, capture_output=True, **extra)  # type: ignore[call-overload]
        port = free_port()
        server = [str(Path(initdb).resolve().parent / "postgres"), "-D", str(folder / "data"), "-F", "-p", str(port)]
        server += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with running(server, port, folder / "log", **extra):
            yield port


@contextmanager
def mariadb() -> Iterator[int]:
    """A MariaDB server; its port. User `owner` with PASSWORD owns the database `mlflow`."""
    with own_folder() as (folder, extra):
        install = program("mariadb-install-db")
        options = ["--no-defaults", f"--datadir={folder / 'data'}"]
        subprocess.run(
            [install, *options, "--skip-test-db", "--auth-root-authentication-method=normal"],
            check=True, capture_output=True, **extra,  # type: ignore[call-overload]
        )  # fmt: skip
        first = folder / "first.sql"
        first.write_text(
            # One statement a line: the server reads the file so.
            f"CREATE DATABASE mlflow;\nCREATE USER 'owner'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON mlflow.* TO 'owner'@'%';\n"
        )
        first.chmod(0o644)
        port = free_port()
        server = [program("mariadbd"), *options, f"--port={port}", "--bind-address=127.0.0.1"]
        server += [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", f"--init-file={first}"]
        with running([*server, "--skip-name-resolve"], port, folder / "log", **extra):
            yield port


@contextmanager
def s3_server(folder: Path, buckets: tuple[str, ...] = ("models",)) -> Iterator[dict[str, str]]:
    """An S3 server (rclone serve s3) that checks signatures; the variables that give access to it."""
    for bucket in buckets:
        (folder / "objects" / bucket).mkdir(parents=True)
    port, key, secret = free_port(), "testkey", "testsecret-5512"
    command = [program("rclone"), "serve", "s3", str(folder / "objects"), "--addr", f"127.0.0.1:{port}"]
    environ = {**os.environ, "RCLONE_AUTH_KEY": f'"{key},{secret}"', "RCLONE_CONFIG": str(folder / "none.conf")}
    with running([*command, "--vfs-cache-mode", "off"], port, folder / "s3.log", env=environ):
        yield {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }


def mlflow_server(command: list[str], folder: Path, *options: str) -> Iterator[str]:
    """An MLflow server of any version, started by `command`; its address once it answers."""
    port = free_port()
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
    environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = [*command, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    server += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", *options]
    folder.mkdir(parents=True, exist_ok=True)
    with running(server, port, folder / "server.log", env=environ, cwd=folder):
        yield f"http://127.0.0.1:{port}"
