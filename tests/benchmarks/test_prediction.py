from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import synthetic_curves
from benchmarks.prediction import main, measure
from benchmarks.replay.recorded_curves import read_curves


@pytest.mark.slow
def test_more_curves_tell_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "curves.jsonl"
    synthetic_curves.write(file, "paper16-continuous", 80, replicates=0, epochs=9, seed=0)
    found = dict(measure(read_curves(file), repetitions=4))
    few, many = found[8], found[64]
    assert many[0] < few[0]  # error
    assert many[1] > max(few[1], 0.5)  # rank correlation
    assert many[2] > few[2]  # log density

    main(["--curves", str(file), "--repetitions", "1"])
    assert capsys.readouterr().out.count("paper16-continuous") == 4
