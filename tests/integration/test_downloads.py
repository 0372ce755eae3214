"""What a lying server lists or sends writes nothing outside the folder that is fetched to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from cryptoml.errors import AccessError, ConfigError, UnavailableError
from cryptoml.tracking.store.artifacts import downloads
from cryptoml.tracking.store.errors import translate_store_errors
from cryptoml.tracking.store.quiet import import_mlflow
from cryptoml.tracking.store.store import Store

RUN = "0" * 32
ROOT = "/api/2.0/mlflow-artifacts/artifacts"
Listing = dict[str, Any]


def entry(path: object, size: object = 1, *, is_dir: bool = False) -> Listing:
    return {"path": path, "is_dir": is_dir} | ({} if is_dir else {"file_size": size})


class Liar:
    """A tracking server with one run, whose listings and files are as the test sets them."""

    def __init__(self) -> None:
        self.listings: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.endless: set[str] = set()
        self.moved: set[str] = set()
        self.requests: list[str] = []
        handler = type("Bound", (_Handler,), {"liar": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    liar: Liar

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        query = parse_qs(urlsplit(self.path).query)
        self.liar.requests.append(path)
        if path.endswith("/runs/get"):
            info = {
                "run_id": RUN, "experiment_id": "0", "status": "FINISHED", "artifact_uri": "mlflow-artifacts:/0/run",
            }  # fmt: skip
            self.answer(json.dumps({"run": {"info": info, "data": {}}}).encode())
        elif path.removeprefix(f"{ROOT}/0/run/") in self.liar.moved:
            self.send_response(302)
            self.send_header("Location", f"{self.liar.url}/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"no")
        elif path == ROOT:
            listing = self.liar.listings.get(query["path"][0].removeprefix("0/run/"), [])
            self.answer(listing if isinstance(listing, bytes) else json.dumps({"files": listing}).encode())
        elif path.removeprefix(f"{ROOT}/0/run/") in self.liar.endless:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(2**20))
            except OSError:
                return
        elif path.removeprefix(f"{ROOT}/0/run/") in self.liar.files:
            self.answer(self.liar.files[path.removeprefix(f"{ROOT}/0/run/")])
        else:
            self.send_error(404)

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def liar() -> Iterator[Liar]:
    server = Liar()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def store(liar: Liar) -> Store:
    mlflow = import_mlflow()
    return Store(mlflow.MlflowClient(tracking_uri=liar.url, registry_uri=liar.url), liar.url, None)


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


UNSAFE = (
    "../../x", "..", ".", "", "/tmp/x", "a/b", "a/../../x", "..\\x", "a\\b", "C:\\x", "C:x", "x\n", "x\0y", "\x1b[31m",
    "%2e%2e/x",
)  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("is_dir", [False, True])
def test_an_unsafe_path_writes_nothing(name: str, is_dir: bool, liar: Liar, store: Store, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "target"
    target.mkdir(parents=True)
    liar.listings["m"] = [entry("a", 1), entry(name, 1, is_dir=is_dir)]
    liar.files |= {"m/a": b"a", f"m/{name}": b"x", "x": b"x"}
    before = everything(tmp_path)
    with translate_store_errors(store.uri, "fetch"), pytest.raises(AccessError, match="unsafe path") as caught:
        store.download(RUN, "m", target)
    assert repr(name) in caught.value.fact
    with pytest.raises(AccessError, match="unsafe path"):
        store.list_files(RUN, "m")
    assert everything(tmp_path) == before


def test_a_folder_comes_whole(liar: Liar, store: Store, tmp_path: Path) -> None:
    liar.listings |= {"m": [entry("a b.txt", 2), entry("sub", is_dir=True)], "m/sub": [entry("ä#.bin", 3)]}
    liar.files |= {"m/a b.txt": b"ab", "m/sub/ä#.bin": b"\0\1\2"}
    got = store.download(RUN, "m", tmp_path)
    assert got == tmp_path / "m"
    assert {name: (got / name).read_bytes() for name in everything(got)} == {"a b.txt": b"ab", "sub/ä#.bin": b"\0\1\2"}
    assert store.list_files(RUN, "m") == ["m/a b.txt"]


def test_a_single_file_comes(liar: Liar, store: Store, tmp_path: Path) -> None:
    liar.files["data/x.json"] = b"{}"
    assert store.download(RUN, "data/x.json", tmp_path).read_bytes() == b"{}"
    liar.listings["data/y"] = [entry("y", 1)]
    liar.files["data/y"] = b"y"
    assert store.download(RUN, "data/y", tmp_path).read_bytes() == b"y"


def test_what_is_not_there_is_missing(store: Store, tmp_path: Path) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="No such artifact") as caught:
        store.download(RUN, "m", tmp_path)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_more_bytes_than_listed_are_not_written(liar: Liar, store: Store, tmp_path: Path) -> None:
    liar.listings["m"] = [entry("a", 3 * 2**20)]
    liar.endless.add("m/a")
    with pytest.raises(AccessError, match="is longer than the 3,145,728 bytes"):
        store.download(RUN, "m", tmp_path)
    assert everything(tmp_path) == set()


def test_a_redirect_is_no_file(liar: Liar, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_HTTP_REDIRECTS", "false")
    liar.listings["m"] = [entry("a", 2)]
    liar.moved.add("m/a")
    with pytest.raises(ConfigError, match="redirects"), translate_store_errors(store.uri, "fetch"):
        store.download(RUN, "m", tmp_path)
    assert everything(tmp_path) == set()


def test_credentials_do_not_go_to_an_artifact_address_over_plain_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    with pytest.raises(AccessError, match="plain http"):
        downloads.fetch(HttpArtifactRepository(f"http://elsewhere.example{ROOT}/0/run"), "m", tmp_path)


def test_fewer_bytes_than_listed_are_reported(liar: Liar, store: Store, tmp_path: Path) -> None:
    liar.listings["m"] = [entry("a", 5)]
    liar.files["m/a"] = b"abc"
    with pytest.raises(UnavailableError, match="came with 3 bytes, 5 are listed"):
        store.download(RUN, "m", tmp_path)


def test_absurd_sizes_are_refused_before_anything_is_fetched(liar: Liar, store: Store, tmp_path: Path) -> None:
    liar.listings["m"] = [entry("a", 2**50)]
    with pytest.raises(AccessError, match="are fetched"):
        store.download(RUN, "m", tmp_path)
    assert not any(path.endswith("m/a") for path in liar.requests)


def test_endless_folders_are_refused(liar: Liar, store: Store, tmp_path: Path) -> None:
    for depth in range(60):
        liar.listings["/".join(["m", *["d"] * depth])] = [entry("d", is_dir=True)]
    with pytest.raises(AccessError, match="folders more than"):
        store.download(RUN, "m", tmp_path)
    assert sum(path == ROOT for path in liar.requests) <= downloads.MAX_DEPTH + 1


@pytest.mark.parametrize(
    "listing",
    [b"<html>", b"[]", b"3", b'{"files": 3}', b'{"files": [3]}', b'{"files": [{}]}',
     b'{"files": [{"path": "a", "file_size": "x"}]}',
     b'{"files": [{"path": "a", "file_size": 1e999}]}', b'{"files": ' + b"[" * 100_000],
)  # fmt: skip
def test_another_answer_is_no_listing(listing: bytes, liar: Liar, store: Store, tmp_path: Path) -> None:
    liar.listings["m"] = listing
    with pytest.raises(UnavailableError, match="cannot be read"):
        store.download(RUN, "m", tmp_path)


def test_a_listing_is_read_up_to_a_limit(
    liar: Liar, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_LISTING_BYTES", 1000)
    liar.listings["m"] = [entry(f"file-{number}", 1) for number in range(100)]
    with pytest.raises(AccessError, match="more than 1,000 bytes"):
        store.download(RUN, "m", tmp_path)
