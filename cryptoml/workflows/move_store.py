"""Copy the runs and registered models of another store, such as a local SQLite store, into the configured store."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import CryptomlError, UnavailableError, UsageError
from cryptoml.settings import Settings
from cryptoml.system.plurals import counted
from cryptoml.tracking.moving.results import MovedModel, MovedRun, MoveResult

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run

    from cryptoml.registry.moving.versions import ModelCopy
    from cryptoml.tracking.moving.source import Source
    from cryptoml.tracking.store.store import Store

MODELS_STEP = "copy registered models"


@dataclass(frozen=True)
class MoveRequest:
    """What to copy: the runs of `experiments` (default: the project's) in the store at `address`, and their models.

    all_experiments: copy the runs of all experiments. dry_run: report what would be copied and change nothing.
    """

    settings: Settings
    address: str
    experiments: tuple[str, ...] = ()
    all_experiments: bool = False
    dry_run: bool = False


def move_store(request: MoveRequest, *, on_event: events.OnEvent = events.ignore) -> MoveResult:
    """Copy what the target lacks, without changing the source. A second call after an interruption resumes.

    Pending runs in the journal are delivered first. If a store becomes unavailable, copying ends and the result
    contains the error. Raise UsageError if the source does not exist or is the target itself, and CryptomlError if
    either store cannot be opened.
    """
    from cryptoml.system.files import locked, translate_os_errors
    from cryptoml.tracking.moving.endpoints import check_addresses, open_target, source_user
    from cryptoml.tracking.moving.read_only import full_address, open_source
    from cryptoml.workflows.sync import sync

    settings = request.settings
    address = full_address(request.address, project_dir=settings.project_dir)
    check_addresses(address, settings.mlflow_uri())
    folder = settings.project_dir / ".cryptoml" / "moving"
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(locked(folder / "lock", timeout_s=5.0))
        for leftover in folder.glob("work-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        work_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="work-")))
        # The target is opened first, so that its request timeouts apply.
        target = stack.enter_context(open_target(settings, work_dir, dry_run=request.dry_run, on_event=on_event))
        user = source_user(settings, address)
        source = stack.enter_context(
            open_source(address, work_dir=work_dir, timeout_s=settings.store_timeout_s, user=user)
        )
        if not request.dry_run:
            waiting = sync(settings, on_event=on_event)
            if waiting.error is not None:
                on_event(
                    events.Warned(f"{counted(waiting.left, 'run')} in the journal not delivered: {waiting.error.fact}")
                )
        return _Move(request, source, target, work_dir, on_event).run()


class _Move:
    def __init__(
        self, request: MoveRequest, source: Source, target: Store, work_dir: Path, on_event: events.OnEvent
    ) -> None:
        from cryptoml.tracking.moving.run_mover import RunMover

        self.request = request
        self.source = source
        self.target = target
        self.on_event = on_event
        self.mover = RunMover(request.settings, source, target, work_dir, on_event)

    def run(self) -> MoveResult:
        """Copy the runs, then the registered models that have a version of one of these runs."""
        experiments = self._experiments()
        chosen = [(one.name, run) for one in experiments for run in self.source.runs(one.experiment_id)]
        models = self._models({run.info.run_id for _, run in chosen})
        chosen += self._runs_behind(models, {run.info.run_id for _, run in chosen})
        runs: list[MovedRun] = []
        moved: list[MovedModel] = []
        error: CryptomlError | None = None
        try:
            self._copy_runs(chosen, models, runs)
            if self.mover.error is None:
                self._copy_models(models, moved)
                self._copy_experiment_tags(experiments)
        except UnavailableError as failure:
            error = failure
        finally:
            if not self.request.dry_run:
                self.mover.notes.save()
        return MoveResult(
            source=self.request.address,
            tracking_uri=self.target.address,
            dry_run=self.request.dry_run,
            experiments=tuple(one.name for one in experiments),
            runs=tuple(runs),
            there=self.mover.there,
            skipped=tuple(self.mover.skipped),
            without_artifacts=tuple(self.mover.without_artifacts),
            models=tuple(moved),
            error=self._with_hint(error or self.mover.error),
        )

    def _experiments(self) -> tuple[Experiment, ...]:
        """Return the requested experiments. Raise UsageError if the source lacks one."""
        known = {one.name: one for one in self.source.experiments()}
        if self.request.all_experiments:
            return tuple(known.values())
        wanted = self.request.experiments or (self.request.settings.experiment_name,)
        for name in wanted:
            if name not in known:
                raise UsageError(
                    f"{self.request.address}: experiment {name} not found.",
                    hint=f"choose one with --experiment ({', '.join(sorted(known))}), or add --all-experiments",
                )
        return tuple(known[name] for name in dict.fromkeys(wanted))

    def _copy_experiment_tags(self, experiments: Sequence[Experiment]) -> None:
        """Copy the experiments' tags and notes, except keys that the target already has."""
        from cryptoml.tracking.store.errors import translate_store_errors

        if self.request.dry_run:
            return
        with translate_store_errors(self.target.uri, "copy the tags of experiments"):
            for one in experiments:
                there = self.target.client.get_experiment_by_name(one.name)
                for key, text in one.tags.items() if there is not None else ():
                    if key not in there.tags:
                        self.target.client.set_experiment_tag(there.experiment_id, key, text)

    def _models(self, run_ids: set[str]) -> list[ModelCopy]:
        from cryptoml.registry.moving.versions import model_names, read_model

        with self.source.reading("read the registered models") as store:
            models = [read_model(store, name) for name in model_names(store)]
        return [model for model in models if any(version.run_id in run_ids for version in model.versions)]

    def _runs_behind(self, models: Sequence[ModelCopy], run_ids: set[str]) -> list[tuple[str, Run]]:
        """Return the runs behind the versions that are not in `run_ids`: of other experiments, or deleted."""
        wanted = {version.run_id for model in models for version in model.versions} - run_ids - {""}
        found = [run for run in map(self.source.run, sorted(wanted)) if run is not None]
        return [(self.source.experiment_name(run.info.experiment_id), run) for run in found]

    def _copy_runs(self, chosen: Sequence[tuple[str, Run]], models: Sequence[ModelCopy], runs: list[MovedRun]) -> None:
        from cryptoml.tracking.moving.run_mover import STEP

        with_model = {version.run_id for model in models for version in model.versions}
        with self._step(STEP, len(chosen)):
            now_ms = time.time_ns() // 1_000_000
            runs.extend(self.mover.copy(chosen, with_model=with_model, dry_run=self.request.dry_run, now_ms=now_ms))

    def _copy_models(self, models: Sequence[ModelCopy], moved: list[MovedModel]) -> None:
        if not models:
            return
        with self._step(MODELS_STEP, len(models)):
            for model in models:
                moved.append(self._plan(model) if self.request.dry_run else self._copy(model))
                self.on_event(events.StepAdvanced(MODELS_STEP, model.name))

    def _copy(self, model: ModelCopy) -> MovedModel:
        from cryptoml.registry.ledger import mirror_of
        from cryptoml.registry.moving.state import copy_state
        from cryptoml.registry.moving.versions import copy_versions

        fingerprint = self.source.fingerprint
        numbers = copy_versions(self.target, model, self.mover.mapping, fingerprint=fingerprint)
        mirror = mirror_of(self.request.settings, model.name)
        state = copy_state(self.target, model, numbers, fingerprint=fingerprint, mirror=mirror)
        added = {old: numbers.mapping[old] for old in numbers.added}
        return MovedModel(
            name=model.name,
            versions=added,
            there=len(numbers.mapping) - len(added),
            aliases=dict(state.aliases),
            ledger=state.ledger,
            ledger_entries=state.entries,
            notes=state.notes,
            lost=numbers.lost,
        )

    def _plan(self, model: ModelCopy) -> MovedModel:
        """Return what `_copy` would do, without the new version numbers, which the target assigns."""
        from cryptoml.registry.moving.versions import plan_versions

        numbers = plan_versions(self.target, model, self.mover.mapping)
        new = [one.version for one in model.versions if one.version not in numbers.mapping]
        return MovedModel(
            name=model.name,
            versions=dict.fromkeys(new, ""),
            there=len(numbers.mapping),
            aliases=dict(model.aliases) if new else {},
            ledger="none" if not model.raw_ledger else "unchanged" if not new else "moved" if numbers.kept else "aside",
            ledger_entries=len(model.ledger.entries),
        )

    @contextmanager
    def _step(self, step: str, total: int) -> Iterator[None]:
        began = time.monotonic()
        self.on_event(events.StepStarted(step, total))
        yield
        self.on_event(events.StepFinished(step, time.monotonic() - began))

    def _with_hint(self, error: CryptomlError | None) -> CryptomlError | None:
        if not isinstance(error, UnavailableError):
            return error
        asked = self.request
        options = [f" --experiment {shlex.quote(name)}" for name in asked.experiments] + [
            " --all-experiments"
        ] * asked.all_experiments
        command = f"cryptoml sync --from {shlex.quote(asked.address)}{''.join(options)}"
        return UnavailableError(error.fact, hint=f"resume later with: {command}")
