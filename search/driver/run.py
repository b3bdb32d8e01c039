"""Running a study: from its file to trials on a Ray cluster, or going on where it was left."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar, overload

import ray
from ray import tune

from model import FP32, LAST, Material, Setting, TrialFolder, in_precision, load_material, train
from search.driver.callbacks import Bookkeeping, Hooks
from search.driver.faults import RESTARTS, Faults
from search.driver.harmless import Harmless
from search.driver.interruption import Interruption
from search.driver.live_view import LiveView
from search.driver.room import Room
from search.driver.scheduler import LedgerScheduler
from search.driver.searcher import LedgerSearcher
from search.driver.study_log import logging_to, say, tell_and_log
from search.driver.tune_private import Silent, every_loss_counts, one_snapshot, watched
from search.ledger.agenda import Agenda
from search.ledger.kept_weights import KeptWeights
from search.ledger.ledger import Ledger
from search.nodes.cluster_error import ClusterError
from search.nodes.head_watch import HeadWatch
from search.nodes.precision import precision_on_cluster
from search.nodes.ray_cluster import placeable_claim, ray_cluster, whose
from search.nodes.ray_head import look_for
from search.nodes.ray_token import tokens_as_before
from search.nodes.signals import handling, terminate
from search.tensorboard.experiment import write_experiment
from search.tensorboard.trial_events import end_run
from search.text.words import epoch_text
from search.trials.disk_errors import disk_sentence
from search.trials.journal_file import mend_journal
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from search.worker.end_request import EndRequest
from search.worker.placement import Claim
from search.worker.run_trial import Shared, run_trial
from spaces import TASKS, StudyFile

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
        quiet: show no progress; what is out of the ordinary is told all the same.
        training: what trains a trial, called as `model.train` is.
        agenda: makes of both what decides which trials there are: a search's ledger, or another.

    Returns:
        The agenda, with the records of all trials.

    Raises:
        UserError: if something in the study, the data or the encoder is not right.
        ClusterError: if Ray does not start, or goes while the search runs; the study can go on.
        KeyboardInterrupt: if the user interrupted; the study can go on.
        OSError: if the disk takes nothing more; the study can go on once it does.
    """
    with handling(terminate), ExitStack() as stack:
        stack.enter_context(tokens_as_before())
        # The cluster first: what is wrong with it is told before anything is read or written.
        joined = None if ray.is_initialized() else look_for(address)
        stack.enter_context(folder.locked())
        folder.check(study)
        stack.enter_context(logging_to(folder))
        _log.info("study %s: %s", study.name, study.tables())
        if (mended := mend_journal(folder.journal)) is not None:
            tell_and_log(mended)
        material = _material(study, folder, quiet)
        precision = folder.precision(study)
        setting = Setting.of(study, material, precision or FP32)
        folder.check_content(setting)  # Ray takes seconds to start.
        head = stack.enter_context(ray_cluster(joined))
        _log.info("Ray is up")
        if joined is not None and joined.is_of_a_program:
            tell_and_log(whose(joined))
        claim = placeable_claim(study.resources)
        if precision is None:
            precision = precision_on_cluster(study, material)
            _log.info("precision: %s is the faster one here", precision)
        for note in folder.open(
            study, setting.computed_in(precision, "GPU" if claim.gpus else "CPU")
        ):
            tell_and_log(note)
        made = agenda(study, folder)
        for note in made.notes:
            tell_and_log(note)
        write_experiment(
            folder.trials, study.space.free, [f"score/{name}" for name in ("mean", *TASKS)]
        )
        # Ray gives every worker a working folder of its own.
        there = StudyFolder(folder.path.absolute())
        trials = in_precision(study, precision)
        shared = Shared(trials, there, material.corpus, material.encoder, training)
        _drive(made, shared, claim, head, quiet)
        return made


def _material(study: StudyFile, folder: StudyFolder, quiet: bool) -> Material:
    """Data and encoder; the rows that are not usable are in the log."""
    if not quiet:
        say("Reading the data and the encoder ...")
    material = load_material(study)
    _log.info("read data and encoder")
    for row in material.skipped:
        _log.warning("skipped %s, row %d: %s", row.file, row.row, row.why)
    if material.skipped:
        say(f"Skipped {len(material.skipped)} unusable row(s); {folder.log} says.")
    return material


def _drive(agenda: Agenda, shared: Shared, claim: Claim, head: HeadWatch, quiet: bool) -> None:
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
    interruption = Interruption(EndRequest(agenda.folder.end_request), tell, lambda: head.is_lost)
    searcher = LedgerSearcher(agenda, ended, faults, interruption)
    trainable = tune.with_resources(
        partial(run_trial, shared=ray.put(shared)),
        tune.PlacementGroupFactory([claim.bundle] * claim.processes),
    )
    room = Room(claim, tell)
    callbacks = {
        "The bookkeeping": Bookkeeping(agenda),
        _VIEW: view,
        "The watch over workers": faults,
        "The watch over room": room,
        "The interruption": interruption,
    }
    with tempfile.TemporaryDirectory(prefix="ablatune-") as scratch:
        head.left += [agenda.folder.end_request, Path(scratch)]
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
            view.start(lambda: room.waits_for)
        try:
            with one_snapshot(), every_loss_counts(), watched(room), interruption.listening():
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
    if interruption.is_cut_off:
        _log.error("%s", head.sentence)
        raise ClusterError(head.sentence)
    if interruption.asked:
        _log.info("interrupted; the same command goes on from here")
        raise KeyboardInterrupt
    if (ending := agenda.ending()) is not None:
        _log.info("%s", ending.sentence(0))


def _close(folder: TrialFolder, record: Record, harmless: Harmless) -> None:
    """Do what is left to do in the folder of a trial that has ended; `last.pt` is removed last of
    all."""
    with harmless("TensorBoard's end of a trial", but=OSError):
        end_run(folder.path, record.state)
    (folder.checkpoint / LAST).unlink(missing_ok=True)
