"""What surrounds a push or pull: git's state, hooks, inherited variables, locks, folders without permission."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cryptoml import events
from cryptoml.errors import CheckFailedError, ConfigError, UnavailableError
from cryptoml.remotes import git, git_commit
from cryptoml.remotes.dvc.dataset_version import dataset_version
from cryptoml.workflows.push_data import push_data
from tests.conftest import Project, clean_environ
from tests.pinned import dvc, make_pinned, put, settings, states
from tests.pinned import git as run_git


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make_pinned(tmp_path)
    put(made, "data/a.csv", "one\n")
    return made


def pushed(tmp_path: Path) -> bool:
    return any(path.is_file() for path in (tmp_path / "store").rglob("*"))


def test_a_commit_that_a_hook_or_the_signature_refuses_leaves_the_data_pushed(folder: Path, tmp_path: Path) -> None:
    hook = put(folder, ".git/hooks/pre-commit", "#!/bin/sh\necho no data on friday >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(CheckFailedError, match=r"data were pushed.*pre-commit.*no data on friday"):
        push_data(settings(folder), commit=True)
    assert pushed(tmp_path)
    hook.unlink()
    run_git(folder, "config", "commit.gpgsign", "true")
    run_git(folder, "config", "gpg.program", "false")
    with pytest.raises(ConfigError, match=r"not committed: git could not sign"):
        push_data(settings(folder), commit=True)
    run_git(folder, "config", "commit.gpgsign", "false")
    assert push_data(settings(folder), commit=True).commit


def test_what_keeps_git_from_committing_is_found_before_the_push(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_commit, "LOCK_TIMEOUT_S", 0.1)
    for name, kind, word in (
        ("MERGE_HEAD", ConfigError, "merge is in progress"),
        ("rebase-merge", ConfigError, "rebase is in progress"),
        ("index.lock", UnavailableError, "index"),
    ):
        mark = put(folder, f".git/{name}", "")
        with pytest.raises(kind, match=word):
            push_data(settings(folder), commit=True)
        mark.unlink()
    run_git(folder, "config", "user.useConfigOnly", "true")
    run_git(folder, "config", "--unset", "user.email")
    with pytest.raises(ConfigError, match="name or e-mail"):
        push_data(settings(folder), commit=True)
    assert not pushed(tmp_path)


def test_a_commit_on_a_detached_head_warns(folder: Path) -> None:
    run_git(folder, "checkout", "--quiet", "--detach")
    heard: list[events.Event] = []
    result = push_data(settings(folder), commit=True, on_event=heard.append)
    assert result.commit
    assert any("detached" in str(getattr(event, "text", "")) for event in heard)
    assert dataset_version(folder / "data/a.csv").text.endswith(f"@{result.commit[:12]}")


def test_variables_of_another_repository_do_not_move_the_commit_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = make_pinned(tmp_path / "elsewhere")
    before = run_git(other, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert push_data(settings(folder), commit=True, message="ours").commit
    assert os.environ["GIT_DIR"] == str(other / ".git")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name)
    assert run_git(other, "rev-parse", "HEAD") == before
    assert run_git(folder, "log", "-1", "--format=%s").strip() == "ours"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_repository_of_another_user_is_named_with_the_way_out(folder: Path) -> None:
    assert push_data(settings(folder), commit=True).commit
    for path in (folder, folder / ".git"):
        os.chown(path, 54321, 54321)
    unsafe = git.ownership_error(folder)
    assert unsafe is not None
    assert "safe.directory" in unsafe.hint
    assert git.commit_tag(folder) == "unknown"
    assert dataset_version(folder / "data/a.csv").text.endswith("@unknown")
    with pytest.raises(ConfigError, match="dubious ownership"):
        push_data(settings(folder), commit=True)
    done = Project(folder, clean_environ(folder.parent / "home")).run("doctor", "git", "--json")
    assert "dubious ownership" in done.out
    assert "git init" not in done.out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_safe_directory_in_a_file_dvc_ignores_is_reported_with_the_file_it_reads(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_data(settings(folder), commit=True)
    for path in (folder, folder / ".git"):
        os.chown(path, 54321, 54321)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    subprocess.run(["git", "config", "--global", "--add", "safe.directory", str(folder)], check=True)
    code, text = as_ordinary_user(
        folder, "pull-data", "--rev", "HEAD", environ={"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}
    )
    assert (code, f"git config --file ~/.gitconfig --add safe.directory '{folder}'" in text) == (3, True), text


def test_a_held_lock_names_the_process_that_holds_it(folder: Path) -> None:
    code = """
        import sys, zc.lockfile
        lock = zc.lockfile.LockFile(sys.argv[1])
        print("held", flush=True)
        sys.stdin.read()
    """
    place = folder / ".dvc/tmp/lock"
    place.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-c", textwrap.dedent(code), str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        with pytest.raises(UnavailableError, match=f"process {holder.pid} holds the DVC lock"):
            push_data(settings(folder))
        holder.stdin.close()
    assert states(push_data(settings(folder))) == {"data/a.csv": "new"}


def as_ordinary_user(folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """The command as a user for whom file permissions count, whoever runs the tests."""
    ordinary = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*ordinary, sys.executable, "-m", "cryptoml", *arguments],
        cwd=folder,
        env={**clean_environ(folder.parent / "home"), **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_folders_without_permission_are_named(folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir(mode=0o555)
    code, text = as_ordinary_user(folder, "push-data", environ={"DVC_SITE_CACHE_DIR": str(site)})
    assert (code, str(site) in text, "DVC_SITE_CACHE_DIR" in text) == (7, True, True)
    (folder / ".dvc/cache").mkdir(exist_ok=True)
    (folder / ".dvc/cache").chmod(0o555)
    code, text = as_ordinary_user(folder, "push-data")
    assert (code, ".dvc/cache" in text) == (7, True)
    (folder / ".dvc/cache").chmod(0o755)
    (tmp_path / "store").mkdir(mode=0o555)
    code, text = as_ordinary_user(folder, "push-data")
    assert (code, str(tmp_path / "store") in text) == (7, True)


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_shared_cache_that_is_read_only_is_read_and_the_hint_replaces_it(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "shared cache"
    cache.mkdir()
    dvc(folder, "cache", "dir", str(cache))
    push_data(settings(folder), commit=True)
    for path in (cache, *(path for path in cache.rglob("*") if path.is_dir())):
        path.chmod(0o555)
    data = folder / "data/a.csv"
    data.unlink()
    code, text = as_ordinary_user(folder, "pull-data")
    assert (code, data.read_text()) == (0, "one\n"), text
    put(folder, "data/a.csv", "two\n")
    code, text = as_ordinary_user(folder, "push-data")
    assert (code, f"{cache}: this user cannot access the DVC cache" in text) == (7, True), text
    data.unlink()
    shutil.rmtree(cache)
    cache.mkdir(mode=0o555)
    code, text = as_ordinary_user(folder, "pull-data")
    assert (code, f"{cache}: this user cannot access the DVC cache" in text) == (7, True), text
    assert not data.exists()
    hint = shlex.split(text.partition("use a cache in the project: dvc ")[2].splitlines()[0])
    dvc(folder, *hint)
    code, text = as_ordinary_user(folder, "pull-data")
    assert (code, data.read_text()) == (0, "one\n"), text


def test_the_site_cache_is_in_the_project_and_the_user_may_choose_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_data(settings(folder))
    assert (folder / ".dvc/tmp/site-cache/repo").is_dir()
    assert "DVC_SITE_CACHE_DIR" not in os.environ
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "mine"))
    push_data(settings(folder))
    assert (tmp_path / "mine/repo").is_dir()
