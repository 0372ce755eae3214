"""Files to and from an artifact repository over HTTP, limited by progress and not by total time."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from cryptoml.errors import CryptomlError, UnavailableError
from cryptoml.tracking.store.errors import http_error, masked, not_mlflow_error
from cryptoml.tracking.store.server_probe import check_address

if TYPE_CHECKING:
    import requests
    from mlflow.utils.rest_utils import MlflowHostCreds

MIN_TIMEOUT_S = 20.0
# What a server may take to store a file after its last byte was sent.
SLOWEST_STORING_BYTES_S = 1_000_000
PARALLEL = 4
RETRY_PAUSES_S = (0.5, 2.0)
_PASSING = (429, 500, 502, 503, 504)
_BLOCK = 1 << 16


class _StoppedError(Exception):
    """Another file of the same delivery could not be uploaded."""


@dataclass(frozen=True)
class HttpFiles:
    """The files of one run behind `base`, its http(s) artifact address; `uri` names the store in messages.

    timeout_s: a transfer without progress for this long is aborted.
    """

    session: requests.Session
    base: str
    uri: str
    timeout_s: float
    _stop: threading.Event = field(default_factory=threading.Event)

    def upload(self, folder: Path, paths: Sequence[str]) -> None:
        """Upload `folder`/<path> for each path; the first file that cannot be uploaded stops the rest.

        Raises what `http_error` makes of the server's answer, or UnavailableError.
        """
        with ThreadPoolExecutor(max(1, min(PARALLEL, len(paths))), thread_name_prefix="upload") as pool:
            futures = [pool.submit(self._upload_one, folder / path, path) for path in paths]
            try:
                for future in as_completed(futures):
                    failure = future.exception()
                    if failure is not None and not isinstance(failure, _StoppedError):
                        raise failure
            finally:
                # After an error or Ctrl-C; otherwise nothing is left to stop.
                pool.shutdown(wait=False, cancel_futures=True)
                if not all(future.done() for future in futures):
                    self._stop.set()

    def digests(self, sizes: Mapping[str, int]) -> dict[str, str | None]:
        """The SHA-256 of what the server has at each path, None unless it sends exactly that many bytes."""
        if not sizes:
            return {}
        with ThreadPoolExecutor(min(PARALLEL, len(sizes)), thread_name_prefix="read-back") as pool:
            return dict(zip(sizes, pool.map(self._sha256, sizes, sizes.values()), strict=True))

    def _sha256(self, path: str, size: int) -> str | None:
        digest = hashlib.sha256()
        got = 0
        timeout = (self.timeout_s, self.timeout_s)
        with self.session.get(self._url(path), timeout=timeout, allow_redirects=False, stream=True) as answer:
            if answer.status_code != 200:
                return None
            for block in answer.iter_content(_BLOCK):
                got += len(block)
                if got > size:
                    return None
                digest.update(block)
        return digest.hexdigest() if got == size else None

    def _upload_one(self, file: Path, path: str) -> None:
        try:
            self._upload_with_retries(file, path)
        except BaseException:
            self._stop.set()
            raise

    def _upload_with_retries(self, file: Path, path: str) -> None:
        import requests

        for pause_s in (*RETRY_PAUSES_S, None):
            if self._stop.is_set():
                raise _StoppedError
            try:
                status, error = self._put(file, path)
                if error is None:
                    return
                passing = status in _PASSING
            except requests.RequestException as failure:
                if isinstance(failure, requests.Timeout) or "timed out" in str(failure):
                    raise self._unavailable(path, f"nothing moved for {self.timeout_s:g} s") from failure
                error, passing = self._unavailable(path, "the connection broke"), True
            if pause_s is None or not passing:
                raise error
            time.sleep(pause_s)

    def _put(self, file: Path, path: str) -> tuple[int, CryptomlError | None]:
        """One PUT; its status, and the error unless it is a success. Any other failure is requests'."""
        size = file.stat().st_size
        with file.open("rb") as opened:
            response = self.session.put(
                self._url(path),
                # An empty stream would be sent in chunks.
                data=_Body(opened, size, self._stop.is_set) if size else b"",
                headers={"Content-Type": mimetypes.guess_type(file.name)[0] or "application/octet-stream"},
                timeout=(self.timeout_s, self.timeout_s + size / SLOWEST_STORING_BYTES_S),
                allow_redirects=False,
                stream=True,
            )
        with response:
            text = next(response.iter_content(_BLOCK), b"").decode(errors="replace")
            status, doing = response.status_code, f"upload {path}"
            if not 200 <= status < 300:
                return status, http_error(status, text, self.uri, doing)
            html = "html" in response.headers.get("Content-Type", "") or text.lstrip().startswith("<")
            return status, not_mlflow_error(self.uri, doing) if html else None

    def _unavailable(self, path: str, reason: str) -> UnavailableError:
        return UnavailableError(
            f"{masked(self.uri)}: could not upload {path}: {reason}.", hint="try again later: cryptoml sync"
        )

    def _url(self, path: str) -> str:
        return f"{self.base.rstrip('/')}/{quote(path)}"


class _Body:
    """A file as a request's body, which a stop of the delivery ends."""

    def __init__(self, file: BinaryIO, size: int, is_stopped: Callable[[], bool]) -> None:
        self._file, self._size, self._is_stopped = file, size, is_stopped

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        if self._is_stopped():
            raise _StoppedError
        return self._file.read(size)


@contextmanager
def http_files(artifact_uri: str, uri: str) -> Iterator[HttpFiles | None]:
    """The files at an http(s) address with mlflow's credentials; None where only mlflow's own client can sign in.

    Raises AccessError when the server names an address that would get the credentials over plain http.
    """
    import requests
    from mlflow.environment_variables import MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD, MLFLOW_HTTP_REQUEST_TIMEOUT
    from mlflow.tracking.request_header.registry import resolve_request_headers
    from mlflow.utils.credentials import get_default_host_creds
    from requests.adapters import HTTPAdapter

    creds: MlflowHostCreds = get_default_host_creds(artifact_uri)
    check_address(artifact_uri, with_credentials=bool(creds.password or creds.token))
    own = creds.use_databricks_sdk or creds.aws_sigv4 or creds.auth or os.environ.get("MLFLOW_WORKSPACE")
    if own or MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD.get():
        yield None
        return
    with requests.Session() as session:
        adapter = HTTPAdapter(pool_maxsize=PARALLEL)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        session.headers.update(resolve_request_headers())
        session.auth = _sign(creds)
        session.verify = creds.verify
        session.cert = creds.client_cert_path
        timeout_s = max(MIN_TIMEOUT_S, float(MLFLOW_HTTP_REQUEST_TIMEOUT.get()))
        yield HttpFiles(session, artifact_uri, uri, timeout_s)


def _sign(creds: MlflowHostCreds) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Put mlflow's credentials, and never those of ~/.netrc, into a request."""
    import base64

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if creds.username and creds.password:
            pair = base64.b64encode(f"{creds.username}:{creds.password}".encode()).decode()
            request.headers["Authorization"] = f"Basic {pair}"
        elif creds.token:
            request.headers["Authorization"] = f"Bearer {creds.token}"
        return request

    return sign
