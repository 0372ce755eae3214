"""Answers without an end cost neither all the memory nor the rest of the day."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cryptoml.errors import UnavailableError
from cryptoml.tracking.runs import get_run, search_runs
from cryptoml.tracking.store import response_limits
from cryptoml.tracking.store.errors import translate_store_errors
from cryptoml.tracking.store.store import Store, open_store

RUN = "a" * 32
INFO = {"run_id": RUN, "experiment_id": "1", "status": "FINISHED", "artifact_uri": "mlflow-artifacts:/1/a"}
HEAD = b"HTTP/1.1 200 OK\r\n"
Answer = Callable[[], Iterator[bytes]]


def whole(document: object) -> Iterator[bytes]:
    body = json.dumps(document).encode()
    yield HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@contextmanager
def server(answers_by_path: dict[str, Answer]) -> Iterator[Store]:
    """An open store whose server sends the pieces of the answer for a path, a small one every tenth of a second."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0].rpartition("/mlflow")[2]
            answer = answers_by_path.get(path, lambda: whole({"experiment": {"experiment_id": "1"}}))
            try:
                for piece in answer():
                    self.wfile.write(piece)
                    if over.wait(0.1 if len(piece) < 2 else 0):
                        return
            except OSError:
                pass

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with open_store(f"http://127.0.0.1:{listener.server_address[1]}", timeout_s=0.5) as store:
            yield store
    finally:
        over.set()
        listener.shutdown()
        listener.server_close()


def endless(*first: bytes) -> Answer:
    return lambda: itertools.chain(first, itertools.repeat(b"0"))


SLOW = [
    endless(HEAD, b"Content-Length: 1000000\r\n\r\n{"),
    endless(HEAD, b"X-Long: 0"),
    endless(HEAD, b"Transfer-Encoding: chunked\r\n\r\n"),
]


@pytest.mark.parametrize("answer", SLOW, ids=["body", "header", "chunk-size"])
def test_an_answer_that_drips_is_given_up(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_limits, "RESPONSE_TIMEOUT_S", 1.0)
    with (
        server({"/runs/get": answer}) as store,
        pytest.raises(UnavailableError, match=r"read the run.* does not respond"),
    ):
        get_run(store, RUN)


@pytest.mark.parametrize("answer", [SLOW[0], SLOW[2]], ids=["body", "chunk-size"])
@pytest.mark.parametrize("what", ["list", "file"])
def test_a_model_that_drips_is_given_up(
    what: str, answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_limits, "RESPONSE_TIMEOUT_S", 1.0)
    listed = {"files": [{"path": "f", "is_dir": False, "file_size": 1000000}]}
    paths: dict[str, Answer] = {"/runs/get": lambda: whole({"run": {"info": INFO, "data": {}}})}
    paths["-artifacts/artifacts"] = answer if what == "list" else lambda: whole(listed)
    paths["-artifacts/artifacts/1/a/model/f"] = answer
    with (
        server(paths) as store,
        pytest.raises(UnavailableError, match="could not fetch"),
        translate_store_errors(store.uri, "fetch"),
    ):
        store.download(RUN, "model", tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_is_read_up_to_a_limit(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_limits, "MAX_RESPONSE_BYTES", 2**20)
    body = gzip.compress(b" " * 2**22) if packed else b" " * 2**22
    headers = b"Content-Encoding: gzip\r\n" if packed else b""

    def answer() -> Iterator[bytes]:
        yield HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body

    with (
        server({"/runs/get": answer}) as store,
        pytest.raises(UnavailableError, match="more than 1,048,576 bytes"),
    ):
        get_run(store, RUN)


def test_a_list_whose_pages_never_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_limits, "MAX_PAGES", 5)
    pages = itertools.count()

    def answer() -> Iterator[bytes]:
        return whole({"runs": [{"info": INFO, "data": {}}], "next_page_token": f"t{next(pages)}"})

    with server({"/runs/search": answer}) as store:
        with pytest.raises(UnavailableError, match="more than 5 pages"):
            search_runs(store, "x")
        assert next(pages) == 5
        assert len(search_runs(store, "x", limit=3)) == 3
