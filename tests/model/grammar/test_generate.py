"""The embedded data set is the same everywhere, balanced, and not solved by shared words."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from statistics import mean

import pytest

from model.data.examples import Dataset, Example
from model.grammar.dice import Dice
from model.grammar.english import verb
from model.grammar.generate import generate
from model.grammar.scenes import ACTIONS, ACTORS, random_scene, similarity


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate()


def fingerprint(dataset: Dataset) -> str:
    return hashlib.sha256(repr((dataset.splits, dataset.extra)).encode()).hexdigest()


def texts(examples: tuple[Example, ...]) -> list[str]:
    return [
        text for example in examples for text in (example.first, example.second) if text is not None
    ]


def shared_words(example: Example) -> float:
    assert example.second is not None
    first, second = (
        set(text.lower().replace(",", "").strip("?.").split())
        for text in (example.first, example.second)
    )
    return len(first & second) / len(first | second)


def test_data_of_a_seed_never_changes(dataset: Dataset) -> None:
    # Stored studies name the data by its seed alone: a change here makes them irreproducible.
    assert (
        fingerprint(dataset) == "b781329ed48abcd9c8d0f552d3857bf2ee42e9f13b804e4bd775ff127cd1b88e"
    )


def test_another_seed_makes_other_data(dataset: Dataset) -> None:
    other = generate(seed=1)
    for task in dataset.splits:
        shared = set(texts(dataset.splits[task]["train"])) & set(texts(other.splits[task]["train"]))
        assert len(shared) < 0.1 * len(texts(dataset.splits[task]["train"]))


def test_sizes_are_those_asked_for() -> None:
    dataset = generate(seed=3, train=40, dev=33)
    sizes = [(len(splits["train"]), len(splits["dev"])) for splits in dataset.splits.values()]
    assert sizes == [(40, 33)] * 3
    assert {task: len(examples) for task, examples in dataset.extra.items()} == {
        "sst": 20,
        "sts": 20,
    }


def test_dev_does_not_depend_on_the_size_of_train(dataset: Dataset) -> None:
    small = generate(train=64)
    for task, splits in dataset.splits.items():
        assert small.splits[task]["dev"] == splits["dev"]
        assert small.splits[task]["train"] == splits["train"][:64]


def test_no_sentence_occurs_twice_within_a_task(dataset: Dataset) -> None:
    for task, splits in dataset.splits.items():
        everything = splits["train"] + splits["dev"] + dataset.extra.get(task, ())
        assert len(set(texts(everything))) == len(texts(everything))


def test_labels_are_those_of_the_tasks(dataset: Dataset) -> None:
    for examples in (*dataset.splits["sst"].values(), dataset.extra["sst"]):
        assert {example.label for example in examples} == {0.0, 1.0, 2.0, 3.0, 4.0}
        assert all(example.second is None for example in examples)
    for examples in dataset.splits["para"].values():
        assert {example.label for example in examples} == {0.0, 1.0}
    for examples in (*dataset.splits["sts"].values(), dataset.extra["sts"]):
        assert all(0 <= example.label <= 5 for example in examples)
        assert len({example.label for example in examples}) > 40


def test_classes_are_balanced_and_extra_reviews_are_not(dataset: Dataset) -> None:
    for split in ("train", "dev"):
        critiques = dataset.splits["sst"][split]
        for label in range(5):
            assert 0.12 < mean(example.label == label for example in critiques) < 0.3
        assert 0.35 < mean(example.label for example in dataset.splits["para"][split]) < 0.45
    reviews = dataset.extra["sst"]
    assert mean(example.label == 4 for example in reviews) > 0.6
    longer = mean(len(text.split()) for text in texts(reviews))
    assert longer > 2 * mean(len(text.split()) for text in texts(dataset.splits["sst"]["train"]))


def test_extra_pairs_are_judged_more_related(dataset: Dataset) -> None:
    ours = mean(example.label for example in dataset.splits["sts"]["train"])
    assert mean(example.label for example in dataset.extra["sts"]) > ours + 0.4


def test_near_misses_share_as_many_words_as_paraphrases(dataset: Dataset) -> None:
    pairs = dataset.splits["para"]["train"]
    paraphrases = mean(shared_words(pair) for pair in pairs if pair.label == 1)
    near_misses = mean(shared_words(pair) for pair in pairs if pair.label == 0)
    assert paraphrases > 0.4
    assert paraphrases - 0.05 < near_misses < paraphrases + 0.1


def test_similarity_grows_with_the_roles_that_scenes_share() -> None:
    dice = Dice(7)
    for _ in range(200):
        first, other = random_scene(dice), random_scene(dice)
        if first.kind == other.kind or first.family == other.family:
            continue
        scene = other
        scores = [similarity(first, scene)]
        for roles in (
            ("denied",),
            ("place",),
            ("manner",),
            ("actor", "family", "count"),
            ("kind", "thing"),
            ("action",),
        ):
            scene = replace(scene, **{role: getattr(first, role) for role in roles})
            scores.append(similarity(first, scene))
        assert scores == sorted(scores)
        assert scores[-1] == pytest.approx(5)


def test_label_follows_shared_words_only_roughly(dataset: Dataset) -> None:
    pairs = dataset.splits["sts"]["train"]
    alike = mean(shared_words(pair) for pair in pairs if pair.label > 4)
    unlike = mean(shared_words(pair) for pair in pairs if pair.label < 1)
    assert alike > unlike + 0.2
    assert any(pair.label > 4 and shared_words(pair) < 0.3 for pair in pairs)


def test_sentences_are_written_well(dataset: Dataset) -> None:
    for splits in dataset.splits.values():
        for text in texts(splits["train"] + splits["dev"]):
            assert text[0].isupper() or text[0].isdigit()
            assert text[-1] in ".?"
            assert "  " not in text
            assert " ," not in text
            assert "{" not in text
            assert 4 <= len(text.split()) <= 24


def test_vocabulary_is_unambiguous() -> None:
    assert verb("shout at").gerund == "shouting at"
    assert verb("carry").past == "carried"
    assert verb("hide").participle == "hidden"
    for lists in (ACTORS, tuple(ACTIONS.values())):
        for group_list in lists:
            flat = [word for group in group_list for word in group]
            assert len(set(flat)) == len(flat)
