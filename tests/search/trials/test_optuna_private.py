"""The private parts of Optuna that `search/trials/optuna_private.py` relies on."""

from __future__ import annotations

import inspect
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from search.trials import optuna_private as ours
from tests.search.private_parts import PrivateParts

OPTUNA = PrivateParts("optuna", "search/trials/optuna_private.py")
TPE = "optuna.samplers.TPESampler"


@pytest.fixture
def study() -> optuna.Study:
    """Two trials, the second one enqueued, in a storage that has another study before."""
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage).ask()
    made = optuna.create_study(storage=storage)
    made.ask({"x": FloatDistribution(0, 1)})
    made.enqueue_trial({"x": 0.25})
    made.ask({"x": FloatDistribution(0, 1)})
    return made


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_operations_of_a_journal_have_their_numbers() -> None:
    name = "optuna.storages.journal._storage.JournalOperation"
    with OPTUNA.relied_on(name, as_what="numbered as in the journals that users have") as there:
        assert {o.name: o.value for o in there} == {o.name: o.value for o in ours.Operation}


def test_trials_and_studies_have_ids_in_their_storage(study: optuna.Study) -> None:
    with OPTUNA.relied_on("optuna.Study", as_what="what has _study_id and _storage"):
        storage = study._storage
        assert ours.storage_of(study) is storage
        assert ours.stored_study_id(study) == storage.get_study_id_from_name(study.study_name)
        assert study._study_id in {ours.stored_study_id(s) for s in storage.get_all_studies()}
    name = "optuna.study._frozen.FrozenStudy"
    with OPTUNA.relied_on(name, as_what="what a storage lists studies as") as listed:
        assert {type(s) for s in storage.get_all_studies()} == {listed}
    with OPTUNA.relied_on("optuna.Trial", as_what="what has _trial_id"):
        asked = study.ask()
        assert storage.get_trial(asked._trial_id).number == ours.trial_of(study, 2).number == 2
        assert ours.stored_id(ours.trial_of(study, 2)) == ours.stored_id(asked) == 3


def test_an_enqueued_trial_says_so_in_an_attribute(study: optuna.Study) -> None:
    with OPTUNA.relied_on("optuna.Study.enqueue_trial", as_what="what sets fixed_params"):
        first, second = study.trials
        assert ours.ENQUEUED not in first.system_attrs
        assert second.system_attrs[ours.ENQUEUED] == {"x": 0.25}


def test_a_sampler_gets_the_trials_themselves(study: optuna.Study) -> None:
    name = "optuna.Study._get_trials"
    with OPTUNA.relied_on(name, as_what="what gives trials uncopied, by state") as get:
        assert {"deepcopy", "states", "use_cache"} <= {*parameters(get)}
        study.tell(0, 0.5)
        assert [t.number for t in ours.trials_of(study, (TrialState.COMPLETE,))] == [0]
        assert ours.trials_of(study)[0] is ours.trials_of(study)[0]


def test_tpe_draws_from_a_state_that_can_be_set_anew() -> None:
    name = "optuna.samplers._lazy_random_state.LazyRandomState"
    with OPTUNA.relied_on(name, as_what="a random state of a seed") as state:
        assert state(7).rng.random() == state(7).rng.random()
    with OPTUNA.relied_on(TPE, as_what="what draws from _rng and _random_sampler"):
        sampler, stock = ours.OpenTPESampler(seed=1), optuna.samplers.TPESampler(seed=2)
        assert {"_rng", "_random_sampler", "_search_space_group"} <= vars(stock).keys()
        sampler.seed_anew(2)
        assert sampler._rng.rng.random() == stock._rng.rng.random()


def test_parameters_that_come_together_are_a_group() -> None:
    name = "optuna.search_space.group_decomposed._SearchSpaceGroup"
    with OPTUNA.relied_on(name, as_what="sets of parameters that split") as group:
        x = FloatDistribution(0, 1)
        made = group()
        made.add_distributions({"a": x, "b": x})
        made.add_distributions({"b": x, "c": x})
        assert sorted(map(sorted, made.search_spaces)) == [["a"], ["b"], ["c"]]
    with OPTUNA.relied_on(TPE, as_what="what proposes by _search_space_group") as tpe:
        assert "self._search_space_group.search_spaces" in inspect.getsource(tpe.sample_relative)


def test_tpe_turns_trials_into_numbers_in_one_place(study: optuna.Study) -> None:
    name = f"{TPE}._get_internal_repr"
    with OPTUNA.relied_on(name, as_what="what turns trials into numbers, by parameter") as turn:
        assert parameters(turn) == ["self", "trials", "search_space", "study"]
        sampler = ours.OpenTPESampler()
        space = {"x": FloatDistribution(0, 1)}
        numbers = sampler._get_internal_repr(study.trials, space, study)
        assert numbers["x"].tolist() == [t.params["x"] for t in study.trials]
    with OPTUNA.relied_on(f"{TPE}._get_params", as_what="a trial's parameters") as get:
        assert parameters(get) == ["self", "trial", "study"]
        assert sampler.parameters_drawn(study.trials[1], study) == {"x": 0.25}
