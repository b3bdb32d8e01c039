"""Running a study: from its file to trials on a Ray cluster, or going on where it was left."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar, overload

import ray
from ray import tune

from model import LAST, TrialFolder, load_material, train
from search.agenda import Agenda
from search.clock import epoch_text
from search.disk import disk_sentence
from search.faults import RESTARTS, Faults, every_loss_counts
from search.harmless import Harmless
from search.interruption import EndRequest, Interruption, handling, terminate
from search.kept import KeptWeights
from search.ledger import Ledger
from search.live import LiveView
from search.ray_messages import ray_speaks_to
from search.ray_trial import Shared, run_trial
from search.records import Record
from search.study_folder import StudyFolder
from search.tensorboard import end_run, write_experiment
from search.tune_adapters import (
    Bookkeeping,
    Hooks,
    LedgerScheduler,
    LedgerSearcher,
    Silent,
    one_snapshot,
)
from search.worker_environment import WORKER_ENVIRONMENT
from spaces import TASKS, ResourceSettings, StudyFile, UserError

_log = logging.getLogger("ablatune")
_VIEW = "The live view"


A = TypeVar("A", bound=Agenda)


@overload
def run(
    study: StudyFile,
    folder: StudyFolder,
    address: str = ...,
    quiet: bool = ...,
    training: Callable[..., object] = ...,
) -> Ledger: ...


@overload
def run(
    study: StudyFile,
    folder: StudyFolder,
    address: str = ...,
    quiet: bool = ...,
    training: Callable[..., object] = ...,
    *,
    agenda: Callable[[StudyFile, StudyFolder], A],
) -> A: ...


def run(
    study: StudyFile,
    folder: StudyFolder,
    address: str = "local",
    quiet: bool = False,
    training: Callable[..., object] = train,
    agenda: Callable[[StudyFile, StudyFolder], Agenda] = Ledger,
) -> Agenda:
    """Run a study, or the rest of one, into its folder.

    Args:
        study: what to run; a study that the folder holds already must be the same.
        folder: where everything is written, reachable under this path from every node.
        address: "local" starts Ray on this machine, "auto" joins the cluster of this machine,
            else the address of a cluster's head. Where Ray is up in this process, it is used.
        quiet: show no progress.
        training: what trains a trial, called as `model.train` is.
        agenda: makes of both what decides which trials there are: a search's ledger, or another.

    Returns:
        The agenda, with the records of all trials.

    Raises:
        UserError: if something in the study, the data or the encoder is not right.
        KeyboardInterrupt: if the user interrupted; the study can go on.
        OSError: if the disk takes nothing more; the study can go on once it does.
    """
    with handling(terminate, (signal.SIGTERM,)), folder.locked():
        folder.open(study)
        with _log_to(folder):
            _log.info("study %s: %s", study.name, study.tables())
            _say("Reading the data and the encoder ...", quiet)
            material = load_material(study)
            _log.info("read data and encoder")
            for row in material.skipped:
                _log.warning("skipped %s, row %d: %s", row.file, row.row, row.why)
            if material.skipped:
                _say(f"Skipped {len(material.skipped)} unusable row(s); {folder.log} says.", quiet)
            made = agenda(study, folder)
            for note in made.notes:
                _log.info("%s", note)
                _say(note, quiet)
            write_experiment(
                folder.trials,
                study.space.free,
                [f"score/{name}" for name in ("mean", *TASKS)],
            )
            # Ray gives every worker a working folder of its own.
            there = StudyFolder(folder.path.absolute())
            shared = Shared(study, there, material.corpus, material.encoder, training)
            with _cluster(address):
                _log.info("Ray is up")
                _drive(made, shared, quiet)
            return made


def _drive(agenda: Agenda, shared: Shared, quiet: bool) -> None:
    """Have Ray Tune train an agenda's trials until it is at its end."""
    study = agenda.study
    view, harmless = LiveView(agenda, quiet), Harmless()

    def tell(text: str) -> None:
        _log.warning("%s", text)
        with harmless(_VIEW):
            view.say(text)

    kept = KeptWeights(agenda.folder, study.search.keep, agenda.records.values())

    def ended(record: Record) -> None:
        _log.info("trial %s: %s at epoch %s", record.id, record.state, epoch_text(record.epoch))
        if record.failure:
            tell(f"Trial {record.id} failed: {record.failure}.")
        if record.ended is not None:
            _close(agenda.folder.trial(record.id), record, harmless)
            kept.add(record)

    for record in agenda.records.values():  # An earlier search may not have come to it.
        if record.ended is not None and agenda.folder.trial(record.id).is_open:
            _close(agenda.folder.trial(record.id), record, harmless)
    faults = Faults(agenda, tell)
    interruption = Interruption(EndRequest(agenda.folder.end_request), tell)
    searcher = LedgerSearcher(agenda, ended, faults, interruption)
    trainable = tune.with_resources(
        partial(run_trial, shared=ray.put(shared)), _bundles(study.resources)
    )
    callbacks = {
        "The bookkeeping": Bookkeeping(agenda),
        _VIEW: view,
        "The watch over workers": faults,
        "The interruption": interruption,
    }
    with tempfile.TemporaryDirectory(prefix="ablatune-") as scratch:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=LedgerScheduler(agenda, faults, interruption, tell, harmless),
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=study.name,
                storage_path=scratch,
                verbose=0,
                callbacks=[Hooks(callbacks, harmless), Silent()],
                stop=interruption,
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
            ),
        )
        with harmless(_VIEW):
            view.start()
        try:
            with one_snapshot(), every_loss_counts(), interruption.listening():
                tuner.fit()
        except KeyboardInterrupt:
            _log.warning("interrupted twice: ended at once")
            raise
        finally:
            with harmless(_VIEW):
                view.stop()
            agenda.meter.write()
    if interruption.broken is not None:
        _log.error("%s", disk_sentence(interruption.broken))
        raise interruption.broken
    if interruption.asked:
        raise KeyboardInterrupt
    if (ending := agenda.ending()) is not None:
        _log.info("%s", ending.sentence(0))


def _close(folder: TrialFolder, record: Record, harmless: Harmless) -> None:
    """What is left to do in the folder of a trial that has ended; `last.pt` goes last of all."""
    with harmless("TensorBoard's end of a trial", but=OSError):
        end_run(folder.path, record.state)
    (folder.checkpoint / LAST).unlink(missing_ok=True)


def _bundles(resources: ResourceSettings) -> tune.PlacementGroupFactory:
    gpus = resources.gpus
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0
    bundle = {"CPU": float(resources.cpus), "GPU": gpus} if gpus else {"CPU": resources.cpus}
    available = ray.cluster_resources()
    for kind, amount in bundle.items():
        if amount * resources.processes > available.get(kind, 0):
            raise UserError(
                f"A trial takes {amount * resources.processes:g} {kind}, but the cluster has "
                f"{available.get(kind, 0):g}; lower [resources] or add nodes."
            )
    return tune.PlacementGroupFactory([bundle] * resources.processes)


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Ray, started here or joined; what was started here ends here."""
    if ray.is_initialized():  # a caller's own cluster
        with ray_speaks_to(_log):
            yield
        return
    try:
        with handling(terminate, (signal.SIGTERM,)):  # Ray takes it for itself when it starts.
            _connect(address)
    except ConnectionError as error:
        raise UserError(f"No Ray cluster answers at {address!r}: {error}") from None
    try:
        with ray_speaks_to(_log):
            yield
    finally:
        with handling(signal.SIG_IGN):  # Half of an end would leave more than all of it.
            ray.shutdown()


def _connect(address: str) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        # Inherited, and not in a runtime environment of Ray's: the workers that Ray starts ahead
        # are then those that the trials need.
        with _environment(WORKER_ENVIRONMENT):
            ray.init(address=address, include_dashboard=False, **quiet)
    else:
        ray.init(address=address, runtime_env={"env_vars": WORKER_ENVIRONMENT}, **quiet)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update(before)


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A log that cannot be written, on a disk that is full, is not worth a traceback."""


@contextmanager
def _log_to(folder: StudyFolder) -> Iterator[None]:
    handler = _LogFile(folder.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False
    try:
        yield
    finally:
        _log.removeHandler(handler)
        with suppress(OSError):
            handler.close()


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr, flush=True)
