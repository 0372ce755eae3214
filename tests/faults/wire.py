"""HTTP/1.1 messages as bytes, read from a socket, so that a proxy can pass them on or damage them."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

LARGEST_HEAD = 256 * 1024


class ConnectionEndedError(Exception):
    """The other side closed the connection within a message."""


@dataclass(frozen=True)
class Message:
    """A request or a reply; `head` ends with the empty line, `body` is as it was on the wire (chunks included)."""

    head: bytes
    body: bytes

    @property
    def first_line(self) -> str:
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self) -> str:
        return self.first_line.split(" ")[0]

    @property
    def path(self) -> str:
        return self.first_line.split(" ")[1]

    @property
    def status(self) -> int:
        return int(self.first_line.split(" ")[1])

    def header(self, name: str) -> str:
        """The header's value, or an empty string."""
        return headers_of(self.head).get(name.lower(), "")

    def with_length(self, length: int) -> Message:
        """The same message with another Content-Length."""
        lines = [line for line in self.head.split(b"\r\n") if line and not line.lower().startswith(b"content-length:")]
        return Message(b"\r\n".join([*lines, f"Content-Length: {length}".encode(), b"", b""]), self.body)


def headers_of(head: bytes) -> dict[str, str]:
    found = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, colon, text = line.partition(":")
        if colon:
            found[name.strip().lower()] = text.strip()
    return found


def reply(status: int, body: bytes = b"", kind: str = "text/plain", **headers: str) -> Message:
    """A complete reply; underscores in header names become hyphens."""
    lines = [f"HTTP/1.1 {status} Injected", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return Message(("\r\n".join(lines) + "\r\n\r\n").encode(), body)


class Wire:
    """A socket with a read buffer."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer = b""

    def request(self) -> Message | None:
        """The next request, or None when the client has closed the connection."""
        head = self._head()
        if head is None:
            return None
        if headers_of(head).get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Message(head, self._body(head, to_the_end=False))

    def reply(self, method: str) -> Message:
        """The reply to a request with `method`."""
        while True:
            head = self._head()
            if head is None:
                raise ConnectionEndedError
            status = int(head.split(b" ", 2)[1])
            if status == 100:
                continue
            empty = method == "HEAD" or status in (204, 304)
            return Message(head, b"" if empty else self._body(head, to_the_end=True))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_for_end(self, seconds: float) -> None:
        """Say nothing until the other side gives up, or `seconds` have passed."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except OSError:
            pass

    def _head(self) -> bytes | None:
        while b"\r\n\r\n" not in self._buffer:
            data = self.socket.recv(65536)
            if not data:
                return None
            self._buffer += data
            if len(self._buffer) > LARGEST_HEAD and b"\r\n\r\n" not in self._buffer:
                raise ConnectionEndedError
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def _body(self, head: bytes, *, to_the_end: bool) -> bytes:
        headers = headers_of(head)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        if not to_the_end:
            return b""
        while data := self.socket.recv(65536):
            self._buffer += data
        body, self._buffer = self._buffer, b""
        return body

    def _chunks(self) -> bytes:
        parts = []
        while True:
            line = self._line()
            parts.append(line)
            size = int(line.split(b";")[0], 16)
            parts.append(self._exactly(size + 2))
            if size == 0:
                return b"".join(parts)

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line + b"\r\n"

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionEndedError
        self._buffer += data
