"""One trial: tasks, data, network, losses, training, evaluation, checkpoints. Runs without Ray."""

import ablatune  # noqa: F401, before all of ours: it says where they are found
from model.data.corpus import DEV, EXTRA, TRAIN, Corpus, Split, build_corpus
from model.data.examples import Dataset, Example, SkippedRow
from model.data.sampling import Sampling
from model.data.sequences import Sequences
from model.encoder.pretrained import Pretrained, load_encoder
from model.encoder.tokenizer import load_tokenizer
from model.machine.cpus import usable_cpus
from model.machine.device import has_bf16, leave, make_accelerator, release_memory
from model.machine.launcher import Launch, Meeting, settle
from model.material import Material, load_dataset, load_material
from model.network.network import Network, build_network
from model.precision import BF16, FP32, faster_precision, in_precision
from model.setting import Setting
from model.storage.checkpoint import BEST, LAST, load_best, load_last
from model.storage.trial_folder import Metrics, TrialFolder
from model.storage.whole_files import append_whole, drop_unfinished, replace_whole, write_whole
from model.tasks.shipped import ALL_TASKS, PARA, SST, STS
from model.tasks.task import Task
from model.training.early_stopping import has_stalled
from model.training.evaluate import TOKENS_AT_ONCE, Evaluation, evaluate
from model.training.reports import (
    Ask,
    DivergenceError,
    InterruptionError,
    Report,
    Save,
    TrialError,
    UndefinedScoreError,
    never,
)
from model.training.train import Trained, train
from model.training.workload import (
    embedding_kind,
    embeds_once,
    epoch_work,
    example_work,
    work_kind,
)

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
    "TOKENS_AT_ONCE",
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
    "drop_unfinished",
    "embedding_kind",
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
    "replace_whole",
    "settle",
    "train",
    "usable_cpus",
    "work_kind",
    "write_whole",
]
