"""One trial: tasks, data, network, losses, training, evaluation, checkpoints. Runs without Ray."""

from model.checkpoint import BEST, LAST, load_best, load_last
from model.corpus import DEV, EXTRA, TRAIN, Corpus, Split, build_corpus
from model.data import Material, load_dataset, load_material
from model.device import has_bf16, leave, make_accelerator, release_memory
from model.early_stopping import has_stalled
from model.evaluate import Evaluation, evaluate
from model.examples import Dataset, Example, SkippedRow
from model.network import Network, build_network
from model.pretrained import Pretrained, load_encoder, load_tokenizer
from model.tasks import ALL_TASKS, PARA, SST, STS, Task
from model.train import DivergenceError, Metrics, Report, Save, Trained, train
from model.trial_folder import TrialFolder

__all__ = [
    "ALL_TASKS",
    "BEST",
    "DEV",
    "EXTRA",
    "LAST",
    "PARA",
    "SST",
    "STS",
    "TRAIN",
    "Corpus",
    "Dataset",
    "DivergenceError",
    "Evaluation",
    "Example",
    "Material",
    "Metrics",
    "Network",
    "Pretrained",
    "Report",
    "Save",
    "SkippedRow",
    "Split",
    "Task",
    "Trained",
    "TrialFolder",
    "build_corpus",
    "build_network",
    "evaluate",
    "has_bf16",
    "has_stalled",
    "leave",
    "load_best",
    "load_dataset",
    "load_encoder",
    "load_last",
    "load_material",
    "load_tokenizer",
    "make_accelerator",
    "release_memory",
    "train",
]
