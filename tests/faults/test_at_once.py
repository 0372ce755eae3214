"""Many commands at once on one server, and a disk that is full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Done, Project
from tests.faults.accounts import check_production, check_runs
from tests.faults.case import Bench, check_words
from tests.faults.world import AWAY, DATA, QUICK

AT_ONCE = 4


def start(project: Project, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command(*arguments), cwd=project.folder, env=dict(project.environ), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=280)
    return Done(process.returncode, out, err)


@pytest.mark.slow
def test_four_trainings_and_four_promotions_at_once(bench: Bench) -> None:
    """The trainings share an experiment and a registered model, the promotions a registered model of their own."""
    world, url = bench.world, bench.world.standin.url
    project = world.project("at-once", url, like=world.candles)
    for number in range(AT_ONCE):
        shutil.copyfile(project.folder / DATA, project.folder / f"data/raw/{number}.csv")
    promoted = "at-once-promoted"
    world.new_model(promoted)
    run = world.trained["ridge"]
    for _ in range(AT_ONCE - 2):
        world.client.create_model_version(promoted, f"runs:/{run}/models/model", run, await_creation_for=0)
    processes = [
        start(project, "train", "--data", f"data/raw/{number}.csv", "--models", "ridge", *QUICK,
              "--set", "registry.model_name=at-once", "--set", f"training.random_seed={number}")
        for number in range(AT_ONCE)
    ] + [
        start(project, "promote", f"v{number + 1}", "production", "--force", "--reason", "at once",
              "--data", DATA, "--set", f"registry.model_name={promoted}")
        for number in range(AT_ONCE)
    ]  # fmt: skip
    done = [end(process) for process in processes]
    # A server busy with eight clients may refuse one for a while (5); its runs then wait for sync.
    assert {one.code for one in done} <= {0, 5}, [one.err for one in done]
    assert not [problem for one in done for problem in check_words(one)]
    for number, one in enumerate(done[AT_ONCE:]):
        if one.code:
            again = project.run("promote", f"v{number + 1}", "production", "--force", "--reason", "again",
                                "--data", DATA, "--set", f"registry.model_name={promoted}")  # fmt: skip
            assert again.code == 0, again.err
    assert project.run("sync").code == 0
    assert check_runs(world.books, project.folder, ("at-once",)) == []
    assert len(world.client.search_model_versions("name = 'at-once'")) == AT_ONCE
    assert check_production(world.books, promoted, None) == []
    told = project.run("promote", "--history", "--set", f"registry.model_name={promoted}", "--json")
    assert told.code == 0, told.out


@pytest.mark.slow
def test_two_deliveries_of_one_journal_at_once(bench: Bench) -> None:
    world = bench.world
    project = world.project("two-syncs", world.standin.url)
    world.journal_copy(project.folder, experiment="two-syncs", model="two-syncs")
    done = [end(process) for process in [start(project, "sync") for _ in range(2)]]
    assert [one.code for one in done] == [0, 0], [one.err for one in done]
    assert check_runs(world.books, project.folder, ("two-syncs",)) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="mounts a tmpfs")
@pytest.mark.parametrize("free_kb", [4, 48, 400], ids=["at-the-start", "within-the-files", "near-the-end"])
def test_training_on_a_full_disk_exits_with_5_and_resumes_when_space_is_free(
    bench: Bench, small_disk: Path, free_kb: int
) -> None:
    world = bench.world
    name = f"full-disk-{free_kb}"
    made = world.project(name, world.standin.url, like=world.candles)
    folder = small_disk / "work"
    shutil.copytree(made.folder, folder)
    project = Project(folder, made.environ)
    filler = small_disk / "filler"
    usage = shutil.disk_usage(small_disk)
    filler.write_bytes(bytes(usage.free - free_kb * 1024))
    command = ("train", "--data", DATA, "--models", "ridge", *QUICK, "--set", f"registry.model_name={name}")
    done = project.run(*command)
    assert done.code == 5, (done.code, done.err)
    assert "disk is full" in done.err
    assert check_words(done) == []
    filler.unlink()
    healed = project.run("sync")
    assert healed.code == 0, healed.err
    assert check_runs(world.books, folder, (name,)) == []
    again = project.run(*command)
    assert again.code == 0, again.err
    assert check_runs(world.books, folder, (name,)) == []


@pytest.mark.slow
def test_delivery_to_a_local_store_on_a_full_disk_resumes_when_space_is_free(bench: Bench, small_disk: Path) -> None:
    from mlflow import MlflowClient

    from tests.faults.accounts import Books

    world = bench.world
    made = world.project("full-store", AWAY)
    world.journal_copy(made.folder, experiment="full-store", model="full-store")
    address = f"sqlite:///{small_disk / 'mlflow.db'}"
    project = Project(made.folder, {**made.environ, "MLFLOW_TRACKING_URI": address})
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 1_000_000))
    done = project.run("sync")
    assert done.code == 5, (done.code, done.err)
    assert check_words(done) == []
    filler.unlink()
    healed = project.run("sync")
    assert healed.code == 0, healed.err
    assert check_runs(Books(MlflowClient(address, registry_uri=address)), project.folder, ("full-store",)) == []
