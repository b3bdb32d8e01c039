"""What ends a search: its trials, hours, epochs or cost, or that it no longer improves.

A budget that is used up lets no new trial start; those that run finish, and so do those that an
earlier search left unfinished. A study whose budget is raised goes on.

That it no longer improves is told by `search.patience`: the best completed trial was not bettered
by more than `search.tolerance` while the trials that ended since trained so many full budgets'
worth of epochs. It is Prechelt's criterion (1998, "Early Stopping - But When?") over trials.
Optuna's terminators look at completed trials alone, of which there are few where most are stopped
early, and fit a Gaussian process to them each time (Makarova et al. 2022; Ishibashi et al. 2023);
`BestValueStagnationEvaluator` counts trials, whatever they cost. Epochs count the effort alike with
and without a scheduler, cost nothing to count, and follow from the journal, so that a search that
goes on decides as it would have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from search.ledger.meter import Spent
from search.text.words import counted, epoch_text
from search.trials.tally import Tally
from spaces import StudyFile


@dataclass(frozen=True)
class Ending:
    """The budget, a key of [search], that is used up, and what was used."""

    budget: str
    used: str

    def sentence(self, finishing: int) -> str:
        """What the user is told; `finishing` trials are not at their end yet."""
        if finishing:
            return f"No new trial starts, {finishing} will finish: by {self.used}."
        return f"Ended by {self.used}."


def used_up(study: StudyFile, tally: Tally, spent: Spent) -> Ending | None:
    """A budget that lets no new trial start, None while all do; that of trials where no other."""
    search = study.search
    if search.hours is not None and spent.seconds >= search.hours * 3600:
        ran = f"searches ran for {spent.seconds / 3600:.3g} hours"
        return Ending("hours", f"search.hours = {search.hours:g}: {ran}")
    if search.total_epochs is not None and tally.epochs >= search.total_epochs:
        trained = f"{epoch_text(tally.epochs)} were trained"
        return Ending("total_epochs", f"search.total_epochs = {search.total_epochs:g}: {trained}")
    if search.cost is not None and spent.cost >= search.cost:
        return Ending("cost", f"search.cost = {search.cost:g}: {spent.cost:.4g} were spent")
    if search.patience is not None:
        best, since = since_better(tally.maxima, search.tolerance)
        trainings = (tally.ended_epochs - since) / study.epochs
        if best is not None and trainings >= search.patience:
            return Ending(
                "patience",
                f"search.patience = {search.patience:g}: {trainings:.3g} full trainings' worth of "
                f"epochs did not better {best:.4g} by more than {search.tolerance:g}",
            )
    started = tally.ended + len(tally.open)
    if started >= study.trials:
        used = counted(started, "trial")
        all_there_are = "" if study.trials == search.trials else ", every configuration"
        return Ending("trials", f"search.trials = {search.trials}: {used}{all_there_are}")
    return None


def since_better(
    maxima: Iterable[tuple[float, float]], tolerance: float
) -> tuple[float | None, float]:
    """The score that is to be bettered, and how many epochs had been trained when it was reached.

    `maxima` are, in order, the completed trials' scores that were higher than all before them, each
    after those epochs. A higher one within the tolerance moves nothing, but several small steps
    that add up to more do.
    """
    best, since = None, 0.0
    for epochs, score in maxima:
        if best is None or score > best + tolerance:
            best, since = score, epochs
    return best, since
