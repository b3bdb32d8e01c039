"""What a new version of a library that has changed a private part is told as."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.search.private_parts import PrivateParts

PARTS = PrivateParts("optuna", "search/trials/optuna_private.py")


@pytest.mark.parametrize("name", ["optuna.trial._gone", "optuna._no_module.Thing", "optuna.Trial"])
def test_a_part_that_has_changed_is_told_in_one_sentence(name: str) -> None:
    with (
        pytest.raises(pytest.fail.Exception) as told,
        PARTS.relied_on(name, as_what="a function of two numbers") as part,
    ):
        assert part is None
    sentence = str(told.value)
    assert sentence.startswith(
        f"optuna {version('optuna')}: {name} is not a function of two numbers, which "
        "search/trials/optuna_private.py relies on: look there ("
    )
    assert "\n" not in sentence


def test_a_part_that_is_as_it_was_is_given_to_be_checked() -> None:
    with PARTS.relied_on("optuna.trial.TrialState.FAIL", as_what="a state") as state:
        assert state.is_finished()
