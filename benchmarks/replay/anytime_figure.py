"""The anytime figure: points below the best by the epochs trained, as an SVG file.

    python -m benchmarks.replay.anytime_figure RESULTS --study STUDY --figure FILE [--workers 4]
        [--epochs 288] [--repetitions 30] [--start none]

draws again, without any replay, what `benchmarks.efficiency --json RESULTS` has measured: the
medians at the budgets that it stores, and the quartiles of ours. The first method is ours; the best
one of each other library and random search are named at their lines, and all others are grey.
"""

from __future__ import annotations

import argparse
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.replay.anytime import HALF_A_POINT, anytime
from benchmarks.replay.simulated_time import Trace

Rows = Sequence[Mapping[str, float | None]]  # what `anytime` gives of a method, at each budget
Curve = Sequence[tuple[int, float]]  # epochs, and how far below the best the score is then

_WIDTH = 860
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 618, 44, 420
# Ours and four others, told apart by the colour-blind too (Okabe and Ito, "Color Universal Design",
# with green, purple and black darker so that they can be read as text on white).
_OURS = "#0072b2"
_PEERS = {"Ray Tune": "#c04f00", "Optuna": "#00795a", "Syne Tune": "#a03f86", "random": "#222222"}
_GREY = "#c4c4c4"
_FAINT, _GOAL = 'stroke="#ececec"', 'stroke="#555" stroke-dasharray="5 4"'
_LOWEST = 1e-4  # a score nearer to the best is drawn there
_POINTS = 160  # of a curve, about
_BETWEEN_NAMES = 18  # pixels
_CHARACTERS = 112  # in a line of notes


def write_figure(
    file: Path, title: str, traces: Mapping[str, Sequence[Trace]], best: float, epochs: int
) -> None:
    """Draw replays' medians after many numbers of epochs; the first method of `traces` is ours."""
    at = sorted({round(epochs ** (k / _POINTS)) for k in range(_POINTS + 1)})
    draw(file, title, {name: anytime(runs, at) for name, runs in traces.items()}, best, at)


def draw(
    file: Path, title: str, methods: Mapping[str, Rows], best: float, at: Sequence[int]
) -> None:
    """Draw each method's scores after `at` epochs, the first method's quartiles too. Both axes are
    logarithmic."""
    curves = {name: _below(rows, "median", best, at) for name, rows in methods.items()}
    curves = {name: curve for name, curve in curves.items() if curve}
    colours = _colours(curves)
    plot = _Plot.around(list(curves.values()), at[-1])
    parts = [f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>']
    parts += plot.axes(at if len(at) < 12 else _ticks(plot.first, plot.last))
    ours = next(iter(curves), "")
    if ours:
        lower, upper = (_below(methods[ours], which, best, at) for which in ("lower", "upper"))
        band = plot.points([*lower, *reversed(upper)])
        parts.append(f'<polygon points="{band}" fill="{_OURS}" fill-opacity="0.12"/>')
    # Grey ones first, ours last: what has a name lies on top.
    for name in sorted(curves, key=lambda name: (name in colours, name == ours)):
        style = f'stroke="{colours.get(name, _GREY)}" stroke-width="{3.5 if name == ours else 2}"'
        points = plot.points(curves[name])
        parts.append(f'<polyline points="{points}" fill="none" stroke-linejoin="round" {style}/>')
    ends = {name: plot.y(curves[name][-1][1]) for name in colours}
    for name, place in _apart(ends).items():
        style = f'fill="{colours[name]}"' + (' font-weight="bold"' if name == ours else "")
        parts.append(_line(_RIGHT + 3, ends[name], _RIGHT + 18, place, f'stroke="{colours[name]}"'))
        parts.append(_text(_RIGHT + 22, place + 4, name, "start", style))
    notes = [f"Dashed: half a point. Band: the middle half of {ours}'s repetitions."]
    if grey := [name for name in curves if name not in colours]:
        notes += textwrap.wrap(f"Grey: {'; '.join(grey)}.", _CHARACTERS)
    for number, note in enumerate(notes):
        parts.append(_text(_LEFT, _BOTTOM + 70 + 18 * number, note, "start", 'fill="#666"'))
    height = _BOTTOM + 70 + 18 * len(notes)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" fill="#222">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>'
    )
    file.write_text("\n".join([head, *parts, "</svg>"]) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Plot:
    """The drawing area: epochs from `first` to `last`, points below the best as a share of 1 from
    `bottom` to `top`."""

    first: int
    last: int
    bottom: float
    top: float

    @classmethod
    def around(cls, curves: Sequence[Curve], last: int) -> _Plot:
        """The area that holds all curves and the line of half a point."""
        regrets = [HALF_A_POINT, *(regret for curve in curves for _, regret in curve)]
        first = min((curve[0][0] for curve in curves), default=1)
        bottom, top = _rounded_down(min(regrets)), _rounded_up(max(regrets))
        return cls(min(first, last - 1), last, bottom, top)

    def x(self, epochs: float) -> float:
        share = math.log(epochs / self.first) / math.log(self.last / self.first)
        return _LEFT + (_RIGHT - _LEFT) * share

    def y(self, regret: float) -> float:
        inside = min(max(regret, self.bottom), self.top)
        share = math.log(inside / self.bottom) / math.log(self.top / self.bottom)
        return _BOTTOM - (_BOTTOM - _TOP) * share

    def points(self, curve: Curve) -> str:
        return " ".join(f"{self.x(epochs):.1f},{self.y(regret):.1f}" for epochs, regret in curve)

    def axes(self, epochs: Sequence[float]) -> list[str]:
        """Both axes with their ticks and names, and the line of half a point."""
        parts = []
        for tick in epochs:
            if tick >= self.first:
                parts.append(_line(self.x(tick), _TOP, self.x(tick), _BOTTOM, _FAINT))
                parts.append(_text(self.x(tick), _BOTTOM + 19, f"{tick:g}", "middle"))
        for tick in _ticks(self.bottom, self.top):
            parts.append(_line(_LEFT, self.y(tick), _RIGHT, self.y(tick), _FAINT))
            parts.append(_text(_LEFT - 7, self.y(tick) + 4, f"{100 * tick:g}", "end"))
        goal = self.y(HALF_A_POINT)
        parts.append(_line(_LEFT, goal, _RIGHT, goal, _GOAL))
        parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 42, "epochs trained in all", "middle"))
        parts.append(
            f'<text transform="translate(18 {(_TOP + _BOTTOM) / 2}) rotate(-90)" '
            'text-anchor="middle">points below the best, median</text>'
        )
        return parts


def _below(rows: Rows, which: str, best: float, at: Sequence[int]) -> Curve:
    """Epochs, and how far below the best the scores are; nothing before there is a score."""
    pairs = zip(at, (row[which] for row in rows), strict=True)
    return [(epochs, max(_LOWEST, best - s)) for epochs, s in pairs if s is not None]


def _colours(curves: Mapping[str, Curve]) -> dict[str, str]:
    """The colours of the methods that have one, by name: of ours, and of the best in the end of
    each family of others."""
    ours, *others = curves or [""]
    found = {ours: _OURS} if ours else {}
    for family, colour in _PEERS.items():
        members = [name for name in others if name.startswith(family)]
        if members:
            found[min(members, key=lambda name: curves[name][-1][1])] = colour
    return found


def _apart(places: Mapping[str, float]) -> dict[str, float]:
    """Places for names, near their own but so far apart that none covers another."""
    found: dict[str, float] = {}
    lowest = _BOTTOM + 4.0
    for name in sorted(places, key=lambda name: -places[name]):  # from the bottom up
        found[name] = min(places[name], lowest)
        lowest = found[name] - _BETWEEN_NAMES
    return found


def _rounded_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)


def _rounded_down(value: float) -> float:
    return 1 / _rounded_up(1 / value)


def _ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    style = f" {style}" if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def stored(lines: Sequence[Mapping[str, Any]], **wanted: Any) -> dict[str, Any]:
    """The first result with these settings, with the methods of later ones that it lacks.

    Raises:
        LookupError: if there is none.
    """
    alike = [line for line in lines if all(line[key] == wanted[key] for key in wanted)]
    if not alike:
        raise LookupError(f"no result has {wanted}")
    methods = {name: row for line in reversed(alike) for name, row in line["methods"].items()}
    ordered = dict.fromkeys([name for line in alike for name in line["methods"]])
    return {**alike[0], "methods": {name: methods[name] for name in ordered}}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("results", type=Path, help="written by benchmarks.efficiency --json")
    parser.add_argument("--study", required=True)
    parser.add_argument("--figure", type=Path, required=True, metavar="FILE")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=288, help="of a search in all")
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--start", choices=("all", "own", "none"), default="none")
    options = parser.parse_args(arguments)
    lines = [json.loads(line) for line in options.results.read_text("utf-8").splitlines()]
    wanted = ("study", "workers", "epochs", "repetitions", "start")
    try:
        result = stored(lines, **{key: getattr(options, key) for key in wanted})
    except LookupError as error:
        parser.exit(2, f"{options.results}: {error.args[0]}\n")
    title = f"{result['curves']} curves of {options.study}, {options.workers} workers"
    methods = {name: row["anytime"] for name, row in result["methods"].items()}
    draw(options.figure, title, methods, result["surrogate"]["best"], result["budgets"])


if __name__ == "__main__":
    main()
