"""Pins of every kind that DVC projects have: pushed, pulled, and compared with what the remote lists."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cryptoml import events
from cryptoml.errors import AccessError, ConfigError, CryptomlError, DataError, UnavailableError
from cryptoml.remotes.dvc import object_transfer
from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.remotes.dvc.dataset_version import dataset_version
from cryptoml.remotes.dvc.pins import pins_at
from cryptoml.workflows.pull_data import pull_data
from cryptoml.workflows.push_data import push_data
from tests.conftest import Hub
from tests.pinned import dvc, forget, git, make_pinned, md5, put, settings, states


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_pinned(tmp_path)


def test_a_folder_pinned_as_a_whole_is_pushed_and_a_file_in_it_can_be_named(folder: Path) -> None:
    put(folder, "data/raw/a.csv", "one\n")
    put(folder, "data/raw/sub/note.txt", "note\n")
    dvc(folder, "add", "data/raw")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "folder")
    first = push_data(settings(folder))
    assert states(first) == {"data/raw": "unchanged", "data/raw/a.csv": "unchanged"}
    assert first.transferred == 3
    put(folder, "data/raw/b.csv", "two\n")
    second = push_data(settings(folder), [folder / "data/raw/b.csv"], message="b", commit=True)
    assert states(second) == {"data/raw": "changed", "data/raw/b.csv": "new"}
    assert second.commit
    version = dataset_version(folder / "data/raw/b.csv").text
    assert version == f"{md5('two' + chr(10))}@{second.commit[:12]}"
    (folder / "data/raw/a.csv").unlink()
    third = push_data(settings(folder), [folder / "data/raw.dvc"])
    assert states(third) == {"data/raw": "changed", "data/raw/a.csv": "removed"}
    forget(folder)
    old = pull_data(settings(folder), [folder / "data/raw/a.csv"], revision="HEAD")
    assert states(old)["data/raw/a.csv"] == "pulled"
    assert (folder / "data/raw/a.csv").read_text() == "one\n"
    assert not (folder / "data/raw/b.csv").exists()
    assert states(pull_data(settings(folder)))["data/raw/b.csv"] == "pulled"
    git(folder, "checkout", "--", "data/raw.dvc")
    forget(folder)
    put(folder, "data/raw/c.csv", "three\n")
    push_data(settings(folder), [folder / "data/raw/c.csv"])
    assert sorted(states(pull_data(settings(folder)))) == [
        "data/raw", "data/raw/a.csv", "data/raw/b.csv", "data/raw/c.csv", "data/raw/sub/note.txt",
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"not found in the pinned folder .*raw") as caught:
        pull_data(settings(folder), [folder / "data/raw/absent.csv"])
    assert "--rev: git log -- 'data/raw.dvc'" in caught.value.hint


def test_a_file_that_the_pinned_folder_does_not_contain_fails_the_push(folder: Path) -> None:
    put(folder, "data/raw/a.csv", "one\n")
    dvc(folder, "add", "data/raw")
    put(folder, ".dvcignore", "b.csv\n")
    put(folder, "data/raw/b.csv", "two\n")
    with pytest.raises((DataError, ConfigError), match=r"b\.csv"):
        push_data(settings(folder))


def test_pulling_an_older_folder_removes_what_came_later_and_keeps_what_is_in_no_version(folder: Path) -> None:
    put(folder, "data/raw/a.csv", "one\n")
    dvc(folder, "add", "data/raw")
    push_data(settings(folder), message="one", commit=True)
    put(folder, "data/raw/b.csv", "two\n")
    push_data(settings(folder), message="two", commit=True)
    put(folder, "data/raw/mine.csv", "mine\n")
    heard: list[events.Event] = []
    pull_data(settings(folder), revision="HEAD~1", on_event=heard.append)
    assert sorted(path.name for path in (folder / "data/raw").glob("*.csv")) == ["a.csv", "mine.csv"]
    assert any("mine.csv" in str(getattr(event, "text", "")) for event in heard)


@pytest.mark.parametrize("text", ["plain\n", "with\r\nline ends\r\n"])
def test_a_pin_of_dvc_2_is_pulled_and_goes_to_a_new_remote(folder: Path, tmp_path: Path, text: str) -> None:
    legacy = md5(text.replace("\r\n", "\n"))
    put(folder, "data/a.csv.dvc", f"outs:\n- md5: {legacy}\n  size: {len(text)}\n  path: a.csv\n")
    there = tmp_path / "store" / legacy[:2] / legacy[2:]
    there.parent.mkdir(parents=True)
    there.write_bytes(text.encode())
    assert states(pull_data(settings(folder))) == {"data/a.csv": "pulled"}
    assert (folder / "data/a.csv").read_bytes() == text.encode()
    assert dataset_version(folder / "data/a.csv").tracked
    shutil.rmtree(tmp_path / "store")
    assert states(push_data(settings(folder))) == {"data/a.csv": "unchanged"}
    assert there.read_bytes() == text.encode()
    forget(folder)
    assert pull_data(settings(folder)).transferred == 1


def test_the_remote_that_a_pin_names_is_used_both_ways(folder: Path, tmp_path: Path) -> None:
    dvc(folder, "remote", "add", "big", str(tmp_path / "big"))
    put(folder, "data/a.csv", "one\n")
    push_data(settings(folder))
    pin = folder / "data/a.csv.dvc"
    pin.write_text(pin.read_text() + "  remote: big\n")
    shutil.rmtree(tmp_path / "store")
    result = push_data(settings(folder))
    assert (result.transferred, result.remote) == (1, str(tmp_path / "big"))
    assert not (tmp_path / "store").exists()
    forget(folder)
    assert states(pull_data(settings(folder))) == {"data/a.csv": "pulled"}
    pin.write_text(pin.read_text().replace("big", "typo"))
    with pytest.raises(ConfigError, match="typo"):
        push_data(settings(folder))


def test_several_outputs_in_one_file_in_another_folder_with_odd_names(folder: Path) -> None:
    put(folder, "data/r w/ü [1].csv", "one\n")
    put(folder, "data/r w/b.csv", "two\n")
    outs = "".join(
        f"- md5: {md5(text)}\n  size: 4\n  hash: md5\n  path: '{name}'\n  desc: words\n"
        for name, text in (("ü [1].csv", "one\n"), ("b.csv", "two\n"))
    )
    put(folder, "data/both.dvc", f"wdir: r w\nouts:\n{outs}")
    result = push_data(settings(folder), message="both", commit=True)
    assert states(result) == {"data/r w/ü [1].csv": "unchanged", "data/r w/b.csv": "unchanged"}
    assert "data/both.dvc" in git(folder, "show", "--name-only", "--format=")
    forget(folder)
    assert set(states(pull_data(settings(folder), [folder / "data/both.dvc"])).values()) == {"pulled"}
    assert pull_data(settings(folder), [folder / "data/r w/b.csv"], revision="HEAD").files[0].state == "up to date"


def test_a_pin_of_an_older_revision_is_restored_into_a_deleted_folder(folder: Path) -> None:
    put(folder, "data/a.csv", "one\n")
    pin = f"wdir: ../data\nouts:\n- md5: {md5('one' + chr(10))}\n  size: 4\n  hash: md5\n  path: a.csv\n"
    put(folder, "pins/a.dvc", pin)
    push_data(settings(folder), [folder / "pins/a.dvc"], message="pin", commit=True)
    git(folder, "rm", "--quiet", "pins/a.dvc")
    git(folder, "commit", "--quiet", "-m", "no pin")
    (folder / "data/a.csv").unlink()
    assert not (folder / "pins").exists()
    assert states(pull_data(settings(folder), revision="HEAD~1")) == {"data/a.csv": "pulled"}
    assert md5("one\n") in (folder / "pins/a.dvc").read_text()


def test_outputs_of_a_pipeline_are_sent_and_those_that_dvc_does_not_keep_are_named(folder: Path) -> None:
    put(
        folder,
        "dvc.yaml",
        "stages:\n  make:\n    cmd: cd data && echo o > out.csv && echo m > m.csv && echo l > l.csv\n    outs:\n"
        "    - data/out.csv\n    - data/m.csv:\n        cache: false\n    - data/l.csv:\n        push: false\n",
    )
    (folder / "data").mkdir()
    dvc(folder, "repro")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "pipeline")
    assert states(push_data(settings(folder))) == {
        "data/l.csv": "skipped: push: false in dvc.yaml",
        "data/m.csv": "skipped: cache: false in dvc.yaml",
        "data/out.csv": "unchanged",
    }
    for name in ("m", "l"):
        with pytest.raises(DataError, match=f"data/{name}.csv"):
            push_data(settings(folder), [folder / f"data/{name}.csv"])
    version = dataset_version(folder / "data/out.csv")
    assert version.text == f"{md5('o' + chr(10))}@{git(folder, 'rev-parse', 'HEAD')[:12]}"
    forget(folder)
    assert states(pull_data(settings(folder), [folder / "data/out.csv"])) == {"data/out.csv": "pulled"}
    put(folder, "data/out.csv", "edited\n")
    with pytest.raises(DataError, match=r"the output of stage .*make"):
        push_data(settings(folder), [folder / "data/out.csv"])


def test_imports_are_fetched_from_their_source_and_not_claimed_as_pushed(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "--quiet", "-b", "main")
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        git(source, "config", name, text)
    dvc_project.init_project(source)
    (source / ".dvc/config").write_text(
        f"[core]\n    remote = s\n['remote \"s\"']\n    url = {tmp_path / 'source-store'}\n"
    )
    put(source, "data/a.csv", "one\n")
    push_data(settings(source))
    git(source, "add", "-A")
    git(source, "commit", "--quiet", "-m", "data")
    (folder / "data").mkdir()
    dvc(folder, "import", str(source), "data/a.csv", "-o", "data/imported.csv")
    (row,) = push_data(settings(folder)).files
    assert row.state.startswith("skipped: imported from data/a.csv")
    with pytest.raises(DataError, match="imported"):
        push_data(settings(folder), [folder / "data/imported.csv"])
    forget(folder)
    assert states(pull_data(settings(folder))) == {"data/imported.csv": "pulled"}


def test_an_import_from_an_address_that_is_nowhere_any_more_says_what_to_run(folder: Path, tmp_path: Path) -> None:
    (folder / "data").mkdir()
    dvc(folder, "import-url", str(put(tmp_path, "elsewhere/u.csv", "one\n")), "data/u.csv")
    assert push_data(settings(folder)).transferred == 1
    forget(folder)
    assert states(pull_data(settings(folder))) == {"data/u.csv": "pulled"}
    forget(folder)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(DataError, match=r"u\.csv") as caught:
        pull_data(settings(folder))
    assert "dvc update" in caught.value.hint


@pytest.mark.parametrize("link", ["symlink", "hardlink"])
def test_a_linked_file_is_pushed_again_and_replaced_without_a_change_to_the_cache(folder: Path, link: str) -> None:
    dvc(folder, "config", "cache.type", link)
    path = put(folder, "data/a.csv", "one\n")
    push_data(settings(folder), message="one", commit=True)
    assert path.is_symlink() if link == "symlink" else path.stat().st_nlink == 2
    again = push_data(settings(folder), [path], message="again", commit=True)
    assert (states(again), again.commit) == ({"data/a.csv": "unchanged"}, None)
    path.unlink()
    put(folder, "data/a.csv", "two\n")
    push_data(settings(folder), message="two", commit=True)
    pull_data(settings(folder), [path], revision="HEAD~1")
    assert path.read_text() == "one\n"
    cached = [place for place in (folder / ".dvc/cache/files").rglob("*") if place.is_file()]
    assert {md5(place.read_text()) for place in cached} == {place.parent.name + place.name for place in cached}
    assert len(cached) == 2


def test_a_project_in_a_subfolder_and_a_project_below_the_dvc_root(folder: Path) -> None:
    below = folder / "team" / "coins"
    (below / ".cryptoml").mkdir(parents=True)
    put(below, "data/a.csv", "one\n")
    put(folder, "data/other.csv", "other\n")
    push_data(settings(folder))
    result = push_data(settings(below), message="below", commit=True)
    assert states(result) == {"data/a.csv": "new"}
    assert [str(pin.path) for pin in pins_at(below)] == ["data/a.csv"]
    forget(below)
    assert states(pull_data(settings(below), revision="HEAD")) == {"data/a.csv": "pulled"}


def test_what_the_remote_does_not_list_after_the_push_fails_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "data/a.csv", "one\n")
    monkeypatch.setattr(object_transfer, "_copy", lambda at, pins, *, to_remote, on_done: len(pins))
    with pytest.raises(UnavailableError, match=r"data/a\.csv \(4 bytes, md5 .*does not list it"):
        push_data(settings(folder))


def test_an_object_with_another_size_on_the_remote_is_sent_again(folder: Path, tmp_path: Path) -> None:
    put(folder, "data/a.csv", "one\n")
    push_data(settings(folder))
    (there,) = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    there.chmod(0o644)
    there.write_text("on")
    assert push_data(settings(folder)).transferred == 1
    assert there.read_text() == "one\n"


def test_the_requests_of_a_push_are_bounded_and_the_server_is_asked_each_time(hub: Hub) -> None:
    dvc_project.init_project(hub.folder)
    dvc_project.set_remote(hub.folder, "dagshub", f"{hub.url}.dvc")
    dvc_project.set_secret(hub.folder, "dagshub", user=hub.standin.state.owner, password=hub.token)
    for number in range(20):
        put(hub.folder, f"data/{number}.csv", f"{number}\n")
    hub.standin.state.requests.clear()
    assert hub.run("push-data").code == 0
    # For each object: is it there, the upload, is it there now; and a few to find out whether the server answers.
    assert len(hub.standin.state.requests) <= 3 * 20 + 5
    shutil.rmtree(hub.standin.state.dvc_folder(hub.slug))
    hub.standin.state.dvc_folder(hub.slug).mkdir()
    again = hub.run("push-data", "data/3.csv", "--json")
    assert again.json()["transferred"] == 1, "the remote is asked, not a memory of it"


def test_remotes_that_cannot_be_used_are_named_before_anything_is_hashed(folder: Path, tmp_path: Path) -> None:
    put(folder, "data/a.csv", "one\n")
    config = folder / ".dvc/config"
    written = config.read_text()
    store = str(tmp_path / "store")
    cases = {
        "ssh://host/place": (ConfigError, "dvc-ssh"),
        "gs://bucket/place": (ConfigError, "dvc-gs"),
        "azure://container/place": (ConfigError, "dvc-azure"),
        str(put(tmp_path, "file", "")): (ConfigError, "is a file"),
    }
    for url, (kind, word) in cases.items():
        config.write_text(written.replace(store, url))
        with pytest.raises(kind, match=word) as caught:
            push_data(settings(folder))
        assert not word.startswith("dvc-") or caught.value.hint == f"pip install {word}"
        assert not (folder / "data/a.csv.dvc").exists()
    config.write_text(written.replace("remote = store", "remote = typo"))
    with pytest.raises(ConfigError, match="typo"):
        push_data(settings(folder))
    for broken in ("[core]\n    colour = 3\n", "[core\n"):
        config.write_text(broken)
        with pytest.raises(ConfigError, match=r"\.dvc/config: "):
            push_data(settings(folder))


def test_a_password_in_the_address_of_a_remote_is_not_printed(folder: Path) -> None:
    put(folder, "data/a.csv", "one\n")
    push_data(settings(folder))
    text = (folder / ".dvc" / "config").read_text()
    address = "ssh://ada:pa55word@127.0.0.1:9/coins"
    (folder / ".dvc" / "config").write_text(text.replace(str(folder.parent / "store"), address))
    assert pull_data(settings(folder)).remote == "ssh://***@127.0.0.1:9/coins"
    put(folder, "data/a.csv", "two\n")
    with pytest.raises(CryptomlError) as caught:
        push_data(settings(folder))
    assert "pa55word" not in str(caught.value)


def test_s3_without_credentials_is_a_matter_of_access(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    put(folder, "data/a.csv", "one\n")
    config = folder / ".dvc/config"
    config.write_text(config.read_text().replace(str(tmp_path / "store"), "s3://bucket/place"))
    with pytest.raises(AccessError, match="credentials") as caught:
        push_data(settings(folder))
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
