"""What a study file says beside its space: its tables encoder, data, search and resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spaces.config import TASKS
from spaces.declare import key
from spaces.domains import Choice, Interval, IntInterval, Text, Texts

EMBEDDED = "embedded"  # data that are made, not read
MINILM = "minilm"  # the checkpoint that is installed with ablatune


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """[encoder]: where the pretrained weights come from."""

    name: str = key(
        MINILM,
        Text(f'"{MINILM}" (packaged), a folder, or a checkpoint on the Hugging Face hub'),
        "the pretrained encoder that every trial starts from: BERT, or another family's",
    )


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """[data]: what is trained and evaluated on."""

    path: str = key(
        EMBEDDED,
        Text(f'"{EMBEDDED}" or a folder with the CS 224N files'),
        "where the examples come from",
    )
    train: int = key(
        2048, IntInterval(32, 100_000), "embedded data only: training examples of each task"
    )
    dev: int = key(
        512, IntInterval(32, 100_000), "embedded data only: development examples of each task"
    )
    seed: int = key(0, IntInterval(0, 2**31 - 1), "embedded data only: seed of the generator")


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """[search]: how configurations are chosen and when trials are stopped."""

    sampler: str = key(
        "auto",
        Choice(("auto", "gp", "tpe", "random", "grid")),
        "who proposes configurations: a Gaussian process over configurations and epochs, which "
        "learns from the scores of stopped and running trials what they would have come to; "
        "Optuna's TPE (multivariate, grouped); chance; or every one of a finite space in "
        "order; auto is grid where search.trials are enough for one, else gp",
        source="Klein et al. 2020; Bergstra et al. 2011; Watanabe 2023",
    )
    scheduler: str = key(
        "asha",
        Choice(("asha", "promotion", "none")),
        "asynchronous successive halving: asha stops a trial that is not among the best at a rung "
        "when it gets there, promotion pauses each there and goes on with the best, as in the "
        "paper; none trains all to the end",
        source="Li et al. 2020, algorithm 2",
    )
    trials: int = key(
        32,
        IntInterval(1, 1_000_000),
        "trials to run; a space of lists and integers never has more than it has configurations",
    )
    start_from: tuple[str, ...] | None = key(
        None,
        Texts("a list of folders of earlier studies"),
        "earlier studies whose trials the sampler is shown, where they could be trials of this one",
    )
    grace_epochs: float = key(
        1.0,
        Interval(0.001, 10_000.0),
        "the first rung: no trial is stopped before this epoch; 0.25 is a quarter of the first",
    )
    reduction_factor: int = key(
        3, IntInterval(2, 100), "one in this many goes on at a rung; rungs grow by it"
    )
    objective: str = key(
        "mean", Choice(("mean", *TASKS)), "the dev score to maximise: all tasks' mean, or one's"
    )
    hours: float | None = key(
        None,
        Interval(0.0, 100_000.0),
        "start no trial once searches of this study ran for so many hours in total; those that "
        "run finish",
    )
    total_epochs: float | None = key(
        None,
        Interval(0.001, 1e9),
        "start no trial once all trials together trained so many epochs; those that run finish",
    )
    cost: float | None = key(
        None,
        Interval(0.0, 1e9),
        "start no trial once searches of this study cost so much, in the currency of "
        "resources.price; those that run finish",
    )
    patience: float | None = key(
        None,
        Interval(0.0, 1e6),
        "start no trial once so many full trainings' worth of epochs (space.epochs each, of "
        "completed, stopped and failed trials alike) did not better the best completed trial; "
        "those that run finish, and where one of them betters it the search goes on",
        source="Prechelt 1998, of trials instead of epochs",
    )
    tolerance: float = key(
        0.005,
        Interval(0.0, 1.0),
        "for patience: a score counts as better where it is so by more than this, which is to be "
        "what is noise; 0.005 is the standard error of the mean score on the CS 224N dev sets",
    )
    seed: int = key(0, IntInterval(0, 2**31 - 1), "seed of the sampler")
    keep: int = key(
        3, IntInterval(1, 1_000_000), "keep the weights of this many best trials that have ended"
    )


@dataclass(frozen=True, kw_only=True)
class ResourceSettings:
    """[resources]: what one trial takes."""

    processes: int = key(1, IntInterval(1, 1024), "processes of a trial")
    cpus: int = key(1, IntInterval(1, 1024), "CPU cores, and threads, of a process")
    gpus: float | None = key(
        None,
        Interval(0.0, 16.0),
        "GPUs of a process; left out, one where the cluster has any",
    )
    concurrent: int | None = key(
        None, IntInterval(1, 100_000), "trials side by side; left out, as many as fit"
    )
    price: float | None = key(
        None, Interval(0.0, 1e6), "what a node costs an hour, in any currency"
    )
    silence: float | None = key(
        None,
        Interval(0.001, 1000.0),
        "hours without a sign of life after which a trial's worker is ended and the trial goes on "
        "in another; left out, ten times the longest silence so far, and at least ten minutes",
    )
    precision: str = key(
        "auto",
        Choice(("auto", "fp32", "bf16")),
        "of the encoder's matrix products; auto is the faster one, which is measured before the "
        "first trial and kept with the study",
    )


TABLES: dict[str, type[Any]] = {
    "encoder": EncoderSettings,
    "data": DataSettings,
    "search": SearchSettings,
    "resources": ResourceSettings,
}
