"""`cryptoml setup-remotes` against the DagsHub stand-in, with real git, DVC and MLflow clients."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Done, Hub, Project


def parts(done: Done) -> dict[str, dict[str, object]]:
    return {str(part["name"]): part for part in done.json()["parts"]}  # type: ignore[index, attr-defined]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return all files of the project that the setup could change."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "objects" not in path.parts and path.suffix != ".db" and "tmp" not in path.parts
    }


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_setup_connects_everything_and_is_idempotent(hub: Hub) -> None:
    planned = hub.run("setup-remotes", "--dry-run", "--json")
    assert planned.code == 0, planned.err
    assert planned.json()["changed"] is True
    assert not (hub.folder / ".env").exists()
    assert not (hub.folder / ".dvc").exists()
    assert hub.git("remote") == ""

    first = hub.run("setup-remotes", "--json")
    assert first.code == 0, first.err
    assert {name: part["after"] for name, part in parts(first).items() if name in parts(planned)} == {
        name: part["after"] for name, part in parts(planned).items()
    }
    assert all(part["proof"] for part in parts(first).values())
    assert hub.git("remote", "get-url", "origin").strip() == f"{hub.url}.git"
    assert f"url = {hub.url}.dvc" in (hub.folder / ".dvc/config").read_text()
    for name in (".env", ".dvc/config.local"):
        assert mode(hub.folder / name) == 0o600
        assert hub.git("check-ignore", name).strip() == name
    env = (hub.folder / ".env").read_text()
    assert f"MLFLOW_TRACKING_URI={hub.url}.mlflow\n" in env
    # Git, DVC and MLflow were really asked.
    asked = {(one.method, one.path.split("?")[0].removeprefix(f"/{hub.slug}")) for one in hub.standin.state.requests}
    assert ("GET", ".git/info/refs") in asked
    assert any(method == "POST" and path.startswith(".dvc/files/md5/") for method, path in asked)
    assert any(path.endswith("/experiments/delete") for _, path in asked)

    share = "git add .dvc .dvcignore .gitignore"
    assert [share in str(note) for note in first.json()["notes"]] == [True]  # type: ignore[attr-defined]
    hub.git(*share.split()[1:])
    hub.git("commit", "--quiet", "-m", "Set up DVC")
    before = snapshot(hub.folder)
    # Without the environment: what was written is enough.
    names = ("DAGSHUB_CLIENT_HOST", "DAGSHUB_USERNAME", "DAGSHUB_REPO", "DAGSHUB_TOKEN")
    bare = Project(hub.folder, {name: text for name, text in hub.environ.items() if name not in names})
    second = bare.run("setup-remotes", "--json")
    assert second.code == 0, second.err
    assert second.json()["changed"] is False
    assert second.json()["notes"] == []
    assert snapshot(hub.folder) == before
    told = bare.run("setup-remotes")
    assert "no changes needed" in told.out


def test_other_lines_of_dotenv_are_kept_and_backed_up_once(hub: Hub) -> None:
    old = "# mine\nOTHER='a b'\nexport DAGSHUB_REPO=somebody/else\nDAGSHUB_REPO=typo\nLAST=1"
    (hub.folder / ".env").write_text(old)
    done = hub.run("setup-remotes", "--json")
    assert done.code == 0, done.err
    text = (hub.folder / ".env").read_text()
    assert text.startswith("# mine\nOTHER='a b'\n")
    assert "LAST=1\n" in text
    assert text.count("DAGSHUB_REPO=") == 1
    assert (hub.folder / ".env.bak").read_text() == old
    assert mode(hub.folder / ".env") == mode(hub.folder / ".env.bak") == 0o600


def test_create_makes_a_private_repository_and_push_pushes_the_branches(hub: Hub) -> None:
    slug = f"{hub.standin.state.owner}/made-{os.getpid()}-{len(hub.standin.state.repositories)}"
    refused = hub.run("setup-remotes", "--repo", slug)
    assert refused.code == 2
    assert "--create" in refused.err
    assert hub.standin.state.find(slug) is None
    (hub.folder / "README").write_text("x\n")
    hub.git("add", "README")
    hub.git("commit", "--quiet", "-m", "first")
    done = hub.run("setup-remotes", "--repo", slug, "--create", "--push", "--branches", "dev,test", "--json")
    assert done.code == 0, done.err
    made = hub.standin.state.find(slug)
    assert made is not None
    assert made.private
    heads = hub.git("ls-remote", "--heads", "origin")
    assert {line.rsplit("/", 1)[-1] for line in heads.splitlines()} == {"main", "dev", "test"}


def test_another_origin_is_kept_and_dagshub_becomes_a_second_remote(hub: Hub) -> None:
    hub.git("remote", "add", "origin", "https://git.example.org/ada/coins.git")
    assert hub.run("setup-remotes").code == 0
    assert hub.git("remote", "get-url", "origin").strip() == "https://git.example.org/ada/coins.git"
    assert hub.git("remote", "get-url", "dagshub").strip() == f"{hub.url}.git"


@pytest.mark.parametrize(
    ("break_it", "code", "word"),
    [
        ("expired token", 7, "expired"),
        ("token with a blank", 3, "spaces"),
        ("reader", 7, "has read-only access"),
        ("no repository", 2, "repository not found"),
        ("plain http", 7, "plain http"),
        ("unknown host", 5, "host not found"),
        ("other origin", 3, "--force"),
        ("other dvc remote", 3, "--force"),
        ("conflict", 3, "merge conflict"),
        ("tracked .env", 3, "git rm --cached .env"),
        ("no mlflow", 5, "mlflow"),
        ("storage full", 5, "storage is full"),
        ("no token", 7, "DAGSHUB_TOKEN"),
    ],
)
def test_an_error_is_reported_and_changes_nothing(hub: Hub, break_it: str, code: int, word: str) -> None:
    state = hub.standin.state
    environ: dict[str, str] = {}
    if break_it == "expired token":
        environ["DAGSHUB_TOKEN"] = state.expired
    elif break_it == "token with a blank":
        environ["DAGSHUB_TOKEN"] = f"{hub.token[:9]} {hub.token[9:]}"
    elif break_it == "reader":
        environ |= {"DAGSHUB_USERNAME": state.reader, "DAGSHUB_TOKEN": state.token_of(state.reader)}
    elif break_it == "no repository":
        environ["DAGSHUB_REPO"] = f"{state.owner}/typo"
    elif break_it == "plain http":
        environ["DAGSHUB_CLIENT_HOST"] = "http://dagshub.example.org"
    elif break_it == "unknown host":
        environ["DAGSHUB_CLIENT_HOST"] = "https://dagshub.invalid"
    elif break_it == "other origin":
        hub.git("remote", "add", "origin", f"{hub.standin.url}/somebody/else.git")
    elif break_it in ("other dvc remote", "conflict"):
        assert hub.run("setup-remotes", "--local").code == 0
        config = hub.folder / ".dvc/config"
        text = config.read_text()
        if break_it == "conflict":
            config.write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n")
        else:
            config.write_text(f"{text}['remote \"dagshub\"']\n    url = https://example.org/x.dvc\n")
    elif break_it == "tracked .env":
        (hub.folder / ".env").write_text("A=1\n")
        hub.git("add", "--force", ".env")
    elif break_it == "no mlflow":
        # Everything before the tracking server has gone well by then.
        environ["CRYPTOML_STORE_TIMEOUT_S"] = "2"
        state.mlflow_down = True
    elif break_it == "storage full":
        state.set_mode("storage-full")
    elif break_it == "no token":
        environ["DAGSHUB_TOKEN"] = ""
    before = snapshot(hub.folder)
    done = hub.run("setup-remotes", environ=environ)
    state.mlflow_down = False
    assert done.code == code, done.err
    assert word in done.err
    assert "Traceback" not in done.err
    assert hub.token not in done.out + done.err
    assert snapshot(hub.folder) == before
    home = Path(hub.environ["HOME"])
    assert not any(hub.token in path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())


def test_local_setup_needs_no_account(project: Project) -> None:
    done = project.run("setup-remotes", "--local", "--json")
    assert done.code == 0, done.err
    assert project.run("setup-remotes", "--local", "--json").json()["changed"] is False
    (project.folder / "data/raw").mkdir(parents=True)
    (project.folder / "data/raw/a.csv").write_text("x\n")
    pushed = project.run("push-data", "--json")
    assert pushed.code == 0, pushed.err
    # The remote is written relative to the config: the project can be moved.
    moved = Project(project.folder.with_name("moved"), project.environ)
    project.folder.rename(moved.folder)
    (moved.folder / "data/raw/a.csv").unlink()
    for path in (moved.folder / ".dvc/cache").rglob("*"):
        if path.is_file():
            path.unlink()
    assert moved.run("pull-data").code == 0
    assert (moved.folder / "data/raw/a.csv").read_text() == "x\n"


def test_the_token_is_stored_in_three_places_only(hub: Hub) -> None:
    """After the whole workflow, the token is in no stream, child argv, repository, history, store or log."""
    spy = hub.folder.parent / "bin"
    spy.mkdir()
    log = hub.folder.parent / "argv.log"
    real = hub.git("--exec-path").strip() + "/git"
    (spy / "git").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {log}\nexec {real} "$@"\n')
    (spy / "git").chmod(0o755)
    environ = {"PATH": f"{spy}:{hub.environ['PATH']}"}
    streams = ""
    for command in (
        ("setup-remotes", "--push", "-v")[:2],
        ("sample-data", "--years", "0.5", "-o", "data/raw/sim.csv"),
        ("push-data", "-m", "data"),
        ("train", "--data", "data/raw/sim.csv", "--models", "ridge", "--set", "tracking.profile_report=false"),
        ("doctor", "--report", "doctor.txt"),
        ("doctor", "--json"),
    ):
        done = hub.run(*command, environ=environ)
        assert done.code in (0, 6), (command, done.err)
        streams += done.out + done.err
    hub.git("add", "--all")
    hub.git("commit", "--quiet", "-m", "all")
    hub.git("push", "--quiet", "origin", "main")
    assert hub.token not in streams
    assert log.read_text()
    assert hub.token not in log.read_text()
    assert hub.token not in hub.git("log", "--all", "--patch")
    places = [hub.folder, Path(hub.environ["HOME"]), hub.standin.state.root]
    holders = sorted(
        path.name
        for place in places
        for path in place.rglob("*")
        if path.is_file() and not path.is_symlink() and hub.token.encode() in path.read_bytes()
    )
    assert holders == [".env", ".git-credentials", "config.local"]
    for path in (hub.folder / ".env", hub.folder / ".dvc/config.local", Path(hub.environ["HOME"]) / ".git-credentials"):
        assert mode(path) == 0o600
    assert json.dumps([vars(one) for one in hub.standin.state.requests]).count(hub.token) == 0


def test_trust_host_writes_the_host_next_to_the_token(hub: Hub) -> None:
    """The clone configures the host, the environment the token: refused without --trust-host, then both are in .env."""
    (hub.folder / ".env").write_text(f"DAGSHUB_CLIENT_HOST={hub.standin.url}\nDAGSHUB_REPO={hub.slug}\n")
    names = ("DAGSHUB_CLIENT_HOST", "DAGSHUB_REPO", "DAGSHUB_USERNAME")
    bare = Project(hub.folder, {name: text for name, text in hub.environ.items() if name not in names})
    asked = len(hub.standin.state.requests)
    refused = bare.run("setup-remotes")
    assert refused.code == 7, refused.err
    assert len(hub.standin.state.requests) == asked
    done = bare.run("setup-remotes", "--trust-host")
    assert done.code == 0, done.err
    text = (hub.folder / ".env").read_text()
    assert f"DAGSHUB_CLIENT_HOST={hub.standin.url}\n" in text
    assert f"DAGSHUB_TOKEN={hub.token}\n" in text
    assert bare.run("doctor", "dagshub-token", "mlflow").code == 0


def test_an_untrusted_host_is_not_kept_next_to_the_token(hub: Hub) -> None:
    (hub.folder / ".env").write_text("DAGSHUB_CLIENT_HOST=https://elsewhere.example.org\n")
    done = hub.run("setup-remotes")
    assert done.code == 0, done.err
    assert "elsewhere" not in (hub.folder / ".env").read_text()


def on_a_terminal(hub: Hub, *arguments: str, typed: list[str], environ: dict[str, str]) -> tuple[int, str]:
    """Run cryptoml on a terminal, answer each prompt with the next line, and return exit code and output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(hub.folder)
        command = hub.command(*arguments)
        os.execve(command[0], command, {**hub.environ, **environ})
    seen, answers = b"", list(typed)
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
        if answers and seen.count(b"settings/tokens): ") > len(typed) - len(answers):
            os.write(terminal, f"{answers.pop(0)}\n".encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode(errors="replace")


def test_a_terminal_prompts_again_after_a_refused_token(hub: Hub) -> None:
    expired = hub.standin.state.expired
    (hub.folder / ".env").write_text(f"DAGSHUB_CLIENT_HOST={hub.standin.url}\nDAGSHUB_TOKEN={expired}\n")
    alone = hub.run("setup-remotes", environ={"DAGSHUB_TOKEN": ""})
    assert alone.code == 7
    assert "DAGSHUB_TOKEN" in alone.err
    code, seen = on_a_terminal(hub, "setup-remotes", typed=["wr0ng-token", hub.token], environ={"DAGSHUB_TOKEN": ""})
    assert code == 0, seen
    assert seen.count("(401)") == 2
    assert hub.token not in seen
    assert f"DAGSHUB_TOKEN={hub.token}\n" in (hub.folder / ".env").read_text()


def test_the_number_of_token_prompts_is_limited(hub: Hub) -> None:
    code, seen = on_a_terminal(hub, "setup-remotes", typed=["wr0ng"] * 9, environ={"DAGSHUB_TOKEN": ""})
    assert code == 7, seen
    assert seen.count("settings/tokens): ") == 3
    assert not (hub.folder / ".env").exists()


def test_there_is_no_token_prompt_for_a_host_configured_in_a_clone(hub: Hub) -> None:
    (hub.folder / ".env").write_text(f"DAGSHUB_CLIENT_HOST={hub.standin.url}\n")
    environ = {"DAGSHUB_TOKEN": "", "DAGSHUB_CLIENT_HOST": ""}
    code, seen = on_a_terminal(hub, "setup-remotes", typed=["t0ken"], environ=environ)
    assert code == 7, seen
    assert "Nothing was sent" in seen
    assert "settings/tokens): " not in seen


def test_a_member_with_read_permission(hub: Hub) -> None:
    """Everything is configured and tested by reading; nothing is written to the server."""
    data = hub.folder / "data/raw/a.csv"
    data.parent.mkdir(parents=True)
    data.write_text("one\n")
    assert hub.run("setup-remotes").code == 0
    assert hub.run("push-data", "-m", "data").code == 0
    hub.git("add", ".dvc", ".dvcignore", ".gitignore")
    hub.git("commit", "--quiet", "-m", "set-up")
    hub.git("push", "--quiet", "origin", "main")
    state = hub.standin.state
    clone = Project(hub.folder.with_name("clone"), {**hub.environ, "HOME": str(hub.folder.with_name("home2"))})
    hub.git("clone", "--quiet", str(hub.folder), str(clone.folder))
    hub.folder.with_name("home2").mkdir()
    environ = {"DAGSHUB_USERNAME": state.reader, "DAGSHUB_TOKEN": state.token_of(state.reader)}
    refused = clone.run("setup-remotes", environ=environ)
    assert refused.code == 7
    assert "setup-remotes --read-only" in refused.err
    assert clone.run("setup-remotes", "--read-only", "--create", environ=environ).code == 2
    state.reset()
    # The clone was made from a folder.
    subprocess.run(["git", "-C", str(clone.folder), "remote", "set-url", "origin", f"{hub.url}.git"], check=True)
    done = clone.run("setup-remotes", "--read-only", "--json", environ=environ)
    assert done.code == 0, done.err
    assert all(part["proof"] for part in parts(done).values())
    assert parts(done)["repository"]["proof"] == f"{state.reader} may read"
    assert any("env MLFLOW_TRACKING_URI=sqlite:///mlflow.db cryptoml train" in note for note in notes(done))
    # The stand-in answers a write of this member with 403.
    assert [one.status for one in state.requests if one.status == 403] == []
    written = [one for one in state.requests if one.method in ("POST", "PUT", "PATCH", "DELETE")]
    assert [one.path for one in written if "/git-upload-pack" not in one.path] == []
    pulled = clone.run("pull-data", environ=environ)
    assert pulled.code == 0, pulled.err
    assert (clone.folder / "data/raw/a.csv").read_text() == "one\n"


def notes(done: Done) -> list[str]:
    return [str(note) for note in done.json()["notes"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "command",
    [("compare",), ("promote", "--history"), ("predict",), ("monitor",), ("register", "--best"), ("ui", "--port", "1")],
)
def test_a_clone_without_credentials_creates_no_local_store(project: Project, command: tuple[str, ...]) -> None:
    (project.folder / ".git").mkdir()
    config = '[remote "origin"]\n\turl = https://dagshub.com/ada/coins.git\n'
    (project.folder / ".git" / "config").write_text(config)
    done = project.run(*command)
    assert done.code == 7, done.err
    assert "git remote origin refers to DagsHub" in done.err
    assert "cryptoml setup-remotes" in done.err
    assert not (project.folder / "mlflow.db").exists()


def test_a_clone_may_use_a_local_store(project: Project) -> None:
    (project.folder / ".env").write_text("DAGSHUB_REPO=ada/coins\n")
    assert project.run("compare").code == 7
    assert project.run("compare", environ={"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}).code == 2
    assert not (project.folder / "mlflow.db").exists()
    assert project.run("setup-remotes", "--local").code == 0
    assert project.run("compare").code == 2
