"""Which configuration the next trial of a study gets: never one that it has had already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler

from search.ledger.search_journal import SearchJournal
from search.sampler.samplers import make_sampler
from search.trials.distributions import Ask, draw, encode, suggest
from search.trials.optuna_private import ENQUEUED, stored_id
from spaces import REPORT, Space, StudyFile, Value, toml_text

_ATTEMPTS = 8  # attempts of the sampler to propose something new
_DRAWS = 1000  # random draws after that, before what is left is listed


class Proposals:
    """The default configuration, the report's best recipe, and what is `wished` for come first,
    then the sampler's proposals; of a grid its points in order, and nothing else."""

    def __init__(
        self,
        study: StudyFile,
        optuna_study: optuna.Study,
        journal: SearchJournal,
        wished: Iterable[Mapping[str, Value]] = (),
    ) -> None:
        self._study, self._optuna, self._journal = study, optuna_study, journal
        self._make_sampler = make_sampler(study)
        self._had: set[str] = set()
        space = study.space
        known = chain((space.point({}), space.point(REPORT)), wished)
        self._points: Iterator[Mapping[str, Value]] = (
            space.grid() if study.sampler == "grid" else iter(known)
        )

    def next(self, number: int) -> tuple[optuna.Trial, dict[str, Value]]:
        """Optuna's trial of this number, and its values, which it has stored."""
        if not self._journal.waiting:
            point = next((p for p in self._points if _text(p) not in self._had), None)
            if point is not None:
                self._optuna.enqueue_trial(encode(self._study.space, point))
        self._optuna.sampler = sampler = self.sampler(number)
        is_enqueued = self._journal.waiting
        trial = self._optuna.ask()
        values = suggest(trial, self._study.space) if is_enqueued else self._new(trial, sampler)
        self.had(values)
        return trial, values

    def again(self, trial: optuna.Trial) -> dict[str, Value]:
        """The values of a trial that was proposed before; where the search ended before all of them
        were stored, what they would have been."""
        self._optuna.sampler = sampler = self.sampler(trial.number)
        frozen = self._journal.get_trial(stored_id(trial))
        is_enqueued = ENQUEUED in frozen.system_attrs
        if is_enqueued or _is_whole(self._study.space, frozen.params):
            return suggest(trial, self._study.space)
        return self._new(trial, sampler)

    def had(self, values: Mapping[str, Value]) -> None:
        """Take note that a trial has these values, so that no other one gets them."""
        self._had.add(_text(values))

    def sampler(self, number: int) -> BaseSampler:
        """The sampler that proposes the configuration of the trial with this number."""
        seed = self._study.search.seed * 1_000_003 + number
        return self._make_sampler(seed % 2**32)

    def _new(self, trial: optuna.Trial, sampler: BaseSampler) -> dict[str, Value]:
        """Values that no trial had yet, stored in the trial: the sampler's, or random ones where
        the sampler keeps proposing what trials had."""
        space = self._study.space
        for _ in range(_ATTEMPTS):
            draft = _Draft(space, partial(self._propose, trial, sampler))
            if self._is_new(draft):
                break
            trial = optuna.Trial(self._optuna, stored_id(trial))  # which draws again
        else:
            draft = self._any(trial)
        for name, (number, distribution) in draft.parameters.items():
            self._journal.set_trial_param(stored_id(trial), name, number, distribution)
        return draft.values

    def _propose(
        self, trial: optuna.Trial, sampler: BaseSampler, name: str, distribution: BaseDistribution
    ) -> Value:
        """A parameter's value, as `trial.suggest_...` finds it, without storing it."""
        if distribution.single():
            return _only(distribution)
        if name in trial.relative_params:
            return trial.relative_params[name]
        frozen = self._journal.get_trial(stored_id(trial))
        return sampler.sample_independent(self._optuna, frozen, name, distribution)

    def _any(self, trial: optuna.Trial) -> _Draft:
        """A random point that no trial had; where every point was had, any random one."""
        space = self._study.space
        chance = RandomSampler(seed=self._study.search.seed * 1_000_003 + trial.number)
        frozen = self._journal.get_trial(stored_id(trial))
        ask = partial(chance.sample_independent, self._optuna, frozen)
        for _ in range(_DRAWS):
            draft = _Draft(space, ask)
            if self._is_new(draft):
                return draft
        left = (p for p in space.grid() if _text(p) not in self._had) if space.is_grid else iter(())
        point = next(left, None)
        if point is None:
            return draft
        parameters = encode(space, point)
        return _Draft(space, lambda name, _: parameters[name])

    def _is_new(self, draft: _Draft) -> bool:
        return _text(draft.values) not in self._had


def _is_whole(space: Space, parameters: Mapping[str, Value]) -> bool:
    """Whether these are all that a point needs."""
    with suppress(KeyError):
        draw(space, lambda name, _: parameters[name])
        return True
    return False


class _Draft:
    """A point of a space, and its parameters as Optuna's numbers with their distributions."""

    def __init__(self, space: Space, ask: Ask) -> None:
        self.parameters: dict[str, tuple[float, BaseDistribution]] = {}

        def noted(name: str, distribution: BaseDistribution) -> Value:
            value = ask(name, distribution)
            self.parameters[name] = distribution.to_internal_repr(value), distribution
            return value

        self.values = draw(space, noted)


def _only(distribution: BaseDistribution) -> Value:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low


def _text(values: Mapping[str, Value]) -> str:
    """Points with the same text train the same: a factor without effect has no value here, and all
    others are fixed."""
    return toml_text(dict(values))
