"""The anytime figure: median regret of each method by the epochs trained, as an SVG file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median

from benchmarks.anytime import HALF_A_POINT, score_at
from benchmarks.replay import Trace

_WIDTH, _HEIGHT = 860, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 590, 40, 410
_COLOURS = (
    "#0b5fa5",
    "#d1495b",
    "#2e8b57",
    "#edae49",
    "#8d5a97",
    "#5c946e",
    "#e07a5f",
    "#3d405b",
    "#81b29a",
    "#b5838d",
    "#6d6875",
    "#222222",
)
_FAINT, _GOAL = 'stroke="#e5e5e5"', 'stroke="#444" stroke-dasharray="5 4"'
_LOWEST = 1e-4  # what is less is drawn there
_POINTS = 160


def write_figure(
    file: Path, title: str, traces: Mapping[str, Sequence[Trace]], best: float, epochs: int
) -> None:
    """`traces` by method, the first one drawn thickest. Both axes are logarithmic."""
    at = sorted({round(epochs ** (k / _POINTS)) for k in range(_POINTS + 1)})
    curves = {
        name: [(e, max(_LOWEST, best - s)) for e in at if math.isfinite(s := _median_at(runs, e))]
        for name, runs in traces.items()
    }
    regrets = [regret for curve in curves.values() for _, regret in curve]
    top = _rounded_up(max(regrets, default=1.0))
    bottom = _rounded_down(min([*regrets, HALF_A_POINT]))

    def x(value: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * math.log(value) / math.log(epochs)

    def y(regret: float) -> float:
        share = math.log(regret / bottom) / math.log(top / bottom)
        return _BOTTOM - (_BOTTOM - _TOP) * share

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="14">{escape(title)}</text>',
    ]
    for tick in _ticks(1, epochs):
        parts.append(_line(x(tick), _TOP, x(tick), _BOTTOM, _FAINT))
        parts.append(_text(x(tick), _BOTTOM + 18, f"{tick:g}", "middle"))
    for tick in _ticks(bottom, top):
        parts.append(_line(_LEFT, y(tick), _RIGHT, y(tick), _FAINT))
        parts.append(_text(_LEFT - 6, y(tick) + 4, f"{100 * tick:g}", "end"))
    parts.append(_line(_LEFT, y(HALF_A_POINT), _RIGHT, y(HALF_A_POINT), _GOAL))
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 40, "epochs trained in all", "middle"))
    parts.append(
        f'<text transform="translate(18 {(_TOP + _BOTTOM) / 2}) rotate(-90)" '
        'text-anchor="middle">points below the best (median)</text>'
    )
    for number, (name, curve) in enumerate(curves.items()):
        again, place = divmod(number, len(_COLOURS))
        style = f'stroke="{_COLOURS[place]}" stroke-width="{3 if number == 0 else 1.5}"'
        style += ' stroke-dasharray="6 3"' if again else ""
        steps = (
            " L".join(
                f"{x(e):.1f} {y(before):.1f} L{x(e):.1f} {y(regret):.1f}"
                for (_, before), (e, regret) in zip([curve[:1][0], *curve], curve, strict=False)
            )
            if curve
            else ""
        )
        if steps:
            parts.append(f'<path d="M{steps}" fill="none" {style}/>')
        row = _TOP + 10 + 20 * number
        parts.append(_line(_RIGHT + 16, row, _RIGHT + 40, row, style))
        parts.append(_text(_RIGHT + 46, row + 4, name, "start"))
    file.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _median_at(traces: Sequence[Trace], epochs: int) -> float:
    return median(score_at(trace, epochs) for trace in traces)


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


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
