"""One trial: tasks, data, network, losses, training, evaluation, checkpoints. Runs without Ray."""

import ablatune  # noqa: F401, before all of ours: it says where they are found
from model.checkpoint import BEST, LAST, load_best, load_last
from model.corpus import DEV, EXTRA, TRAIN, Corpus, Split, build_corpus
from model.cpus import usable_cpus
from model.data import Material, load_dataset, load_material
from model.device import has_bf16, leave, make_accelerator, release_memory
from model.early_stopping import has_stalled
from model.evaluate import Evaluation, evaluate
from model.examples import Dataset, Example, SkippedRow
from model.launcher import Launch, Meeting, settle
from model.network import Network, build_network
from model.precision import BF16, FP32, faster_precision, in_precision
from model.pretrained import Pretrained, load_encoder, load_tokenizer
from model.sampling import Sampling
from model.sequences import Sequences
from model.setting import Setting
from model.tasks import ALL_TASKS, PARA, SST, STS, Task
from model.train import Report, Save, Trained, never, train
from model.trial import (
    Ask,
    DivergenceError,
    InterruptionError,
    Metrics,
    TrialError,
    UndefinedScoreError,
)
from model.trial_folder import TrialFolder
from model.whole_lines import append_whole
from model.work import embeds_once, epoch_work, example_work, work_kind

__all__ = [
    "ALL_TASKS",
    "BEST",
    "BF16",
    "DEV",
    "EXTRA",
    "FP32",
    "LAST",
    "PARA",
    "SST",
    "STS",
    "TRAIN",
    "Ask",
    "Corpus",
    "Dataset",
    "DivergenceError",
    "Evaluation",
    "Example",
    "InterruptionError",
    "Launch",
    "Material",
    "Meeting",
    "Metrics",
    "Network",
    "Pretrained",
    "Report",
    "Sampling",
    "Save",
    "Sequences",
    "Setting",
    "SkippedRow",
    "Split",
    "Task",
    "Trained",
    "TrialError",
    "TrialFolder",
    "UndefinedScoreError",
    "append_whole",
    "build_corpus",
    "build_network",
    "embeds_once",
    "epoch_work",
    "evaluate",
    "example_work",
    "faster_precision",
    "has_bf16",
    "has_stalled",
    "in_precision",
    "leave",
    "load_best",
    "load_dataset",
    "load_encoder",
    "load_last",
    "load_material",
    "load_tokenizer",
    "make_accelerator",
    "never",
    "release_memory",
    "settle",
    "train",
    "usable_cpus",
    "work_kind",
]
