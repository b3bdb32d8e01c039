"""All that reaches into private parts of Optuna, which any new version may change.

`tests/search/trials/test_optuna_private.py` tells what is relied on, and fails with a sentence
where it is so no more.
"""

from __future__ import annotations

from collections.abc import Container
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.search_space.group_decomposed import _SearchSpaceGroup as SearchSpaceGroup
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from optuna.study._frozen import FrozenStudy

__all__ = [
    "ENQUEUED",
    "OpenTPESampler",
    "Operation",
    "SearchSpaceGroup",
    "storage_of",
    "stored_id",
    "stored_study_id",
    "trial_of",
    "trials_of",
]

ENQUEUED = "fixed_params"
"""Optuna's system attribute of a trial that was enqueued: the parameters that it is to have."""


class Operation(IntEnum):
    """What a line of a journal does, as `optuna.storages.journal._storage.JournalOperation` numbers
    it. The numbers are in users' journals: they are ours to know, whatever a version calls them."""

    CREATE_STUDY = 0
    DELETE_STUDY = 1
    SET_STUDY_USER_ATTR = 2
    SET_STUDY_SYSTEM_ATTR = 3
    CREATE_TRIAL = 4
    SET_TRIAL_PARAM = 5
    SET_TRIAL_STATE_VALUES = 6
    SET_TRIAL_INTERMEDIATE_VALUE = 7
    SET_TRIAL_USER_ATTR = 8
    SET_TRIAL_SYSTEM_ATTR = 9
    DISCARD_TRIALS = 10


def stored_id(trial: FrozenTrial | optuna.Trial) -> int:
    """What a storage calls a trial, which is not its number."""
    return trial._trial_id


def stored_study_id(study: optuna.Study | FrozenStudy) -> int:
    """What a storage calls a study."""
    return study._study_id


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage that a study reads and writes."""
    return study._storage


def trial_of(study: optuna.Study, number: int) -> FrozenTrial:
    """The trial of a number, also one that the storage's list of trials leaves out."""
    storage = storage_of(study)
    return storage.get_trial(
        storage.get_trial_id_from_study_id_trial_number(stored_study_id(study), number)
    )


def trials_of(
    study: optuna.Study, states: Container[TrialState] | None = None
) -> list[FrozenTrial]:
    """A study's trials as a sampler sees them: not copied, which would take longer than all else,
    and the same list throughout one proposal."""
    return study._get_trials(deepcopy=False, states=states, use_cache=True)


class OpenTPESampler(TPESampler):
    """Optuna's TPE, with names for the places where a class that is made of it differs."""

    def seed_anew(self, seed: int) -> None:
        """Draw from now on what a new sampler with this seed would draw."""
        self._rng = LazyRandomState(seed)
        self._random_sampler = RandomSampler(seed=seed)

    def decompose_into(self, group: SearchSpaceGroup) -> None:
        """Propose the parameters of each of these sets together; `infer_relative_search_space` is
        to say so each time."""
        self._search_space_group = group

    def parameters_drawn(self, trial: FrozenTrial, study: optuna.Study) -> dict[str, Any]:
        """A trial's parameters, of one that runs those too that are still to be stored."""
        return self._get_params(trial, study)

    def parameters_as_numbers(
        self,
        trials: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
        study: optuna.Study,
    ) -> dict[str, np.ndarray]:
        """By name, the numbers for each of the trials that has all the parameters of the space."""
        return super()._get_internal_repr(trials, search_space, study)

    def _get_internal_repr(
        self,
        trials: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
        study: optuna.Study,
    ) -> dict[str, np.ndarray]:
        return self.parameters_as_numbers(trials, search_space, study)
