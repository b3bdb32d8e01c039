from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import optuna
import pytest

from benchmarks.methods.optuna_alone import OptunaAlone
from benchmarks.methods.ours import ours, variants
from benchmarks.methods.ray_tune import RayTune
from benchmarks.methods.to_the_end import ToTheEnd, random_points
from benchmarks.replay.anytime import budgets, epochs_to, score_at, summary, worse_at
from benchmarks.replay.anytime_figure import main as redraw
from benchmarks.replay.anytime_figure import write_figure
from benchmarks.replay.landscape import Noise, Truth
from benchmarks.replay.points import default_point
from benchmarks.replay.recorded_curves import replayed_study
from benchmarks.replay.simulated_time import Incumbent, Method, Moment, Trace, replay
from benchmarks.synthetic_curves import Synthetic
from spaces import SearchSettings, Space, Value, keys

EPOCHS = 9
STUDY = replayed_study("paper16-continuous", EPOCHS, 256)


class Ladder:
    """A landscape whose point number n scores n at every epoch; the third one diverges."""

    space, epochs, noise = Space(), 3, Noise(0.0, 0.0)

    def truth(self, values: Mapping[str, Value]) -> Truth:
        number = float(values["number"])
        return Truth((number,) * 3, seconds=10.0, survives=1 if number == 3 else 3)

    def best(self) -> float:
        return math.inf


def ladder(points: int) -> ToTheEnd:
    return ToTheEnd({"number": number} for number in range(1, points + 1))


def test_workers_train_side_by_side_in_simulated_time() -> None:
    one = replay(ladder(2), Ladder(), repetition=0, workers=1, epochs=6)
    two = replay(ladder(2), Ladder(), repetition=0, workers=2, epochs=6)
    assert one.seconds == pytest.approx(60, abs=0.1)
    assert two.seconds == pytest.approx(30, abs=0.1)
    assert one.busy(1) == pytest.approx(1, abs=0.01)
    assert two.busy(2) == pytest.approx(1, abs=0.01)


def test_a_worker_without_a_trial_is_idle() -> None:
    trace = replay(ladder(1), Ladder(), repetition=0, workers=4, epochs=100)
    assert trace.epochs == 3
    assert trace.busy(4) == pytest.approx(0.25, abs=0.01)


def test_a_trial_that_diverges_is_told_and_not_returned() -> None:
    class Watched(ToTheEnd):
        failed: str | None = None

        def fail(self, trial: str) -> None:
            self.failed = trial

    method = Watched({"number": number} for number in (1, 3))
    trace = replay(method, Ladder(), repetition=0, workers=1, epochs=100)
    assert method.failed == "1"
    assert trace.epochs == 5  # three, and the two of which it diverged in the second
    assert trace.moments[-1].score == 1


def test_the_time_that_a_method_takes_passes_for_the_workers() -> None:
    spent = []

    class Slow(ToTheEnd):
        def report(self, trial: str, epoch: int, score: float) -> bool:
            started = time.thread_time()
            sum(range(2_000_000))
            spent.append(time.thread_time() - started)
            return True

    slow = Slow({"number": number} for number in (1, 2))
    trace = replay(slow, Ladder(), repetition=0, workers=1, epochs=6, seconds=1e-4)
    assert trace.busy(1) < 0.9
    assert len(spent) == 6
    assert trace.seconds > sum(spent[:-1])
    assert trace.method_seconds > sum(spent)


def test_a_trial_that_pauses_goes_on_after_its_last_epoch() -> None:
    class Pausing:
        """Pauses after every epoch and gives the same trial out again."""

        epochs: list[int] = []  # noqa: RUF012

        def next(self) -> tuple[str, Mapping[str, Value]] | None:
            return ("only", {"number": 1}) if len(self.epochs) < 3 else None

        def report(self, trial: str, epoch: int, score: float) -> bool:
            self.epochs.append(epoch)
            return False

        def end(self, trial: str) -> None: ...

        def fail(self, trial: str) -> None: ...

    method = Pausing()
    replay(method, Ladder(), repetition=0, workers=1, epochs=100)
    assert method.epochs == [1, 2, 3]


def test_the_incumbent_is_the_best_of_those_that_got_furthest() -> None:
    incumbent = Incumbent()
    incumbent.report("a", 1, score=0.9, truth=1)
    incumbent.report("b", 1, score=0.5, truth=2)
    assert incumbent.truth == 1
    incumbent.report("b", 2, score=0.4, truth=2)
    assert incumbent.truth == 2
    incumbent.report("a", 2, score=0.6, truth=1)
    assert incumbent.truth == 1
    incumbent.fail("a")
    assert incumbent.truth == 2


def methods() -> dict[str, Method]:
    space, pruner = STUDY.space, optuna.pruners.SuccessiveHalvingPruner(1, 3)
    return {
        "Ray Tune": RayTune(space, EPOCHS, 3, seed=1, default_first=True),
        "Optuna": OptunaAlone(space, optuna.samplers.TPESampler(seed=1), pruner, True),
        "random": ToTheEnd(random_points(space, 1, True)),
    }


@pytest.mark.parametrize("name", ["ablatune", *methods()])
def test_real_searches_run_and_stop_what_is_bad(name: str) -> None:
    landscape = Synthetic(STUDY.space, EPOCHS)
    if name == "ablatune":
        with ours(STUDY, "gp", "asha", seed=1, default_first=True) as method:
            trace = replay(method, landscape, repetition=1, workers=2, epochs=80)
    else:
        trace = replay(methods()[name], landscape, repetition=1, workers=2, epochs=80)
    assert trace.epochs == 80
    assert trace.trials > 12 if name != "random" else trace.trials <= 12
    reached = landscape.truth(default_point(STUDY.space)).scores[-1]
    assert score_at(trace, 9) == pytest.approx(reached)  # all begin with it


def test_a_search_may_begin_without_the_default_configuration() -> None:
    with ours(STUDY, "random", "none", seed=1, default_first=False) as method:
        given = method.next()
    assert given is not None
    assert given[1] != default_point(STUDY.space)


def test_every_declared_sampler_and_scheduler_is_compared() -> None:
    declared = keys(SearchSettings)
    samplers, schedulers = (set(pair) for pair in zip(*variants().values(), strict=True))
    assert samplers == {*(declared["sampler"].domain.levels or ())} - {"grid", "gp"}
    assert schedulers == {*(declared["scheduler"].domain.levels or ())}


def test_noise_is_the_same_for_all_who_try_a_configuration_in_a_repetition() -> None:
    noise, values = Noise(0.01, 0.01), {"b": 1, "a": 0.5}
    again = {"a": 0.5, "b": 1}
    assert (noise.drawn(values, 4, 0) == noise.drawn(again, 4, 0)).all()
    assert (noise.drawn(values, 4, 0) != noise.drawn(values, 4, 1)).any()


def trace_of(*moments: tuple[int, float]) -> Trace:
    return Trace([Moment(epochs, 0.0, score) for epochs, score in moments])


def test_a_score_holds_until_the_next_one() -> None:
    trace = trace_of((2, 0.5), (5, 0.7), (8, 0.6))
    assert [score_at(trace, e) for e in (1, 2, 4, 5, 9)] == [-math.inf, 0.5, 0.5, 0.7, 0.6]
    assert epochs_to(trace, 0.65) == 5
    assert epochs_to(trace, 0.8) == math.inf


def test_a_median_says_how_far_chance_may_move_it() -> None:
    soon = [trace_of((k, 0.7)) for k in range(1, 21)]
    never = [trace_of((1, 0.6))] * 10
    row = summary([*soon, *never], best=0.7, workers=1, at=[9])
    assert row["median_epochs"] == 15.5
    assert row["median_between"] == [10, None]  # the 10th; the 21st never was
    assert summary(soon[:3], best=0.7, workers=1, at=[9])["median_between"] == [None, None]


def test_worse_is_what_chance_does_not_explain() -> None:
    good = [trace_of((1, 0.7 + k / 1000)) for k in range(20)]
    bad = [trace_of((1, 0.6 + k / 1000)) for k in range(20)]
    assert worse_at(bad, good, [1, 10]) == [1, 10]
    assert worse_at(good, bad, [1, 10]) == []
    assert worse_at(good, good, [1, 10]) == []


def test_budgets_double_from_one_full_training() -> None:
    assert budgets(100, 9) == [9, 18, 36, 72, 100]


def test_the_figure_has_a_line_for_each_method(tmp_path: Path) -> None:
    file = tmp_path / "anytime.svg"
    traces = {"ours": [trace_of((1, 0.5), (9, 0.7))], "a < b": [trace_of((9, 0.6))], "none": []}
    write_figure(file, "title", {k: v for k, v in traces.items() if v}, best=0.71, epochs=100)
    page = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    lines = [element for element in page.iter() if element.tag.endswith("polyline")]
    texts = {element.text for element in page.iter() if element.tag.endswith("text")}
    assert len(lines) == 2
    assert {"ours", "Grey: a < b.", "title"} <= texts
    assert "0.5" in texts
    assert "0.1" not in texts  # nothing is that near to the best


def test_the_figure_names_ours_and_the_best_of_each_library_in_a_colour_each(
    tmp_path: Path,
) -> None:
    file = tmp_path / "anytime.svg"
    ends = {"ours": 0.7, "Optuna A": 0.5, "Optuna B": 0.6, "Ray Tune": 0.55, "ours too": 0.65}
    traces = {name: [trace_of((9, end))] for name, end in ends.items()}
    write_figure(file, "title", traces, best=0.71, epochs=100)
    page = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    texts = [element.text for element in page.iter() if element.tag.endswith("text")]
    assert [name for name in ends if name in texts] == ["ours", "Optuna B", "Ray Tune"]
    assert "Grey: Optuna A; ours too." in texts
    lines = [element for element in page.iter() if element.tag.endswith("polyline")]
    strokes = [line.attrib["stroke"] for line in lines]
    assert len(set(strokes)) == 4  # three with a name, and grey
    assert strokes[-1] not in strokes[:-1]  # ours lies on top


@pytest.mark.parametrize("study", ["paper16-continuous", "wide"])
def test_the_figures_are_drawn_from_the_stored_results(
    study: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    results = pytestconfig.rootpath / "benchmarks" / "results"
    drawn, name = tmp_path / "again.svg", f"efficiency-{study}.svg"
    redraw([str(results / "efficiency.jsonl"), "--study", study, "--figure", str(drawn)])
    assert drawn.read_text("utf-8") == (results / name).read_text("utf-8")
