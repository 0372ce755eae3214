"""What the stand-in knows: users, repositories, its mode, and the requests it was asked."""

from __future__ import annotations

import secrets
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Mode = Literal["full", "legacy", "no-model-id", "readonly", "flaky", "throttle", "down-at", "slow", "storage-full"]
Permission = Literal["admin", "push", "pull", "none"]


@dataclass(frozen=True)
class Request:
    """One request as it came in. user: who asked, or None; the token itself is never kept."""

    time: float
    method: str
    path: str
    status: int
    user: str | None
    has_authorization: bool


@dataclass
class Repository:
    """A repository. members: user name -> permission; everybody else gets 404 while it is private."""

    owner: str
    name: str
    private: bool
    members: dict[str, Permission]

    @property
    def slug(self) -> str:
        return f"{self.owner}/{self.name}"

    def permission(self, user: str | None) -> Permission:
        if user is None:
            return "none"
        return self.members.get(user, "none" if self.private else "pull")


@dataclass
class State:
    """Shared by all of the server's threads. `nth` and `down_from` belong to the modes flaky and down-at."""

    root: Path
    mode: Mode = "full"
    nth: int = 3
    down_from: int = 1
    delay_s: float = 0.5
    clock_skew_s: float = 0.0
    owner: str = "ada"
    reader: str = "rob"
    tokens: dict[str, str] = field(default_factory=dict)
    expired: str = field(default_factory=lambda: secrets.token_hex(20))
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    counted: int = 0
    mlflow_down: bool = False

    def __post_init__(self) -> None:
        self.tokens = {secrets.token_hex(20): self.owner, secrets.token_hex(20): self.reader}

    def token_of(self, user: str) -> str:
        return next(token for token, name in self.tokens.items() if name == user)

    def set_mode(self, mode: Mode) -> None:
        """Change the mode at once, and count its requests anew."""
        with self.lock:
            self.mode, self.counted = mode, 0

    def reset(self) -> None:
        """Mode full, the right time, no requests noted."""
        self.set_mode("full")
        self.nth, self.down_from, self.delay_s, self.clock_skew_s = 3, 1, 0.5, 0.0
        with self.lock:
            self.requests.clear()

    def count(self) -> int:
        """The number of this request since the mode was set, from 1."""
        with self.lock:
            self.counted += 1
            return self.counted

    def new_repository(self, owner: str, name: str, *, private: bool = True, reader: Permission = "pull") -> Repository:
        """An empty repository with its git and DVC folders; `reader` is what the second user may do."""
        repository = Repository(owner, name, private, {owner: "admin", self.reader: reader, self.owner: "admin"})
        bare = self.git_folder(repository.slug)
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(bare)], check=True)
        subprocess.run(["git", "-C", str(bare), "config", "http.receivepack", "true"], check=True)
        self.dvc_folder(repository.slug).mkdir(parents=True)
        with self.lock:
            self.repositories[repository.slug.lower()] = repository
        return repository

    def git_folder(self, slug: str) -> Path:
        return self.root / "git" / f"{slug}.git"

    def dvc_folder(self, slug: str) -> Path:
        return self.root / "dvc" / slug

    def find(self, slug: str) -> Repository | None:
        return self.repositories.get(slug.lower())

    def note(self, method: str, path: str, status: int, user: str | None, has_authorization: bool) -> None:
        with self.lock:
            self.requests.append(Request(time.time(), method, path, status, user, has_authorization))
