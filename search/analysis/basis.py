"""Which trials an analysis rests on, and how far to trust them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from search.text.words import counted, epoch_text
from search.trials.record import Record
from spaces import Space

_LEAD = "One seed a configuration: a lead, not a finding."


def common_epoch(records: Sequence[Record]) -> float:
    """The latest epoch that every trial with any score reached, 0 for none.

    Nothing was stopped for its score before it, so that all levels' trials are still there.
    """
    scored = [set(record.scores) for record in records if record.scores]
    return max(set.intersection(*scored), default=0) if scored else 0


def describe_basis(records: Sequence[Record], space: Space, epoch: float) -> str:
    """Which trials the effects after `epoch` rest on, and how far to trust them."""
    scored = [record for record in records if record.scores]
    there = [record for record in scored if epoch in record.scores]
    if not there:
        return "No trial has a score yet: there are no effects to show."
    seeds = "the seed varies as a factor" if "seed" in space.free else "one seed each"
    if len(there) == len(scored):
        trials = "1 trial" if len(there) == 1 else f"all {len(there)} trials"
        basis = f"After epoch {epoch_text(epoch)}, {trials}, {seeds}."
    else:
        basis = (
            f"After epoch {epoch_text(epoch)}, the {len(there)} of {len(scored)} trials that got "
            f"there, {seeds}: the others had ended before, mostly for low scores, which hides "
            "effects."
        )
    notes = []
    if failed := sum(record.state == "failed" for record in records if not record.scores):
        notes.append(f"Not counted: {failed} that failed without a score.")
    if repeated := len(there) - len(distinct_configurations(there)):
        again = counted(repeated, "trial")
        notes.append(f"Counted once: configurations tried again ({again}).")
    return " ".join((basis, *notes, _LEAD))


def describe_sampler(sampler: str) -> str:
    """What a sampler that learns does to level means; empty for one that does not."""
    if sampler not in ("tpe", "gp"):
        return ""
    return (
        "The sampler tried more of what had scored well, so that the trials of two levels differ "
        "in other factors too, and a level may owe its mean to these."
    )


def distinct_configurations(records: Iterable[Record]) -> list[Record]:
    """One trial a configuration: the same one with the same seed again says nothing new, and
    would make the noise look small."""
    return list({repr(sorted(r.values.items())): r for r in records}.values())
