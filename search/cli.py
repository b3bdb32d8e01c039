"""The command line: `ablatune VERB`.

Exit codes: 0 done, 2 the input is wrong (one sentence), 130 interrupted, 1 anything else.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from search.disk import disk_sentence, is_of_disk
from search.signals import handling, ignore_signals, terminate
from search.standard_error import lasting_standard_error
from spaces import STUDIES, UserError

_DESCRIPTION = (
    "Find the best multitask BERT recipe, and know which choice made it best. "
    "A STUDY is a TOML file, or the name of a packaged one: "
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code."""
    given = _parser().parse_args(arguments)
    with lasting_standard_error():
        return _run(given)


def _run(given: argparse.Namespace) -> int:
    try:
        with handling(terminate):
            verbs = import_module("search.verbs")  # takes seconds, in which one may press Ctrl-C
            verb: Callable[[argparse.Namespace], None] = getattr(verbs, given.verb)
            verb(given)
            sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # One more has nothing left to end but Python's own ending, with a traceback.
        ignore_signals()
        on = ""
        if given.verb == "search":
            where = f" with --dir {given.dir}" if given.dir else ""
            on = f" The same command{where} goes on from here."
        print(f"Interrupted.{on}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python writes what is left once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if not is_of_disk(error):
            raise
        print(f"error: {disk_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(sorted(file.stem for file in STUDIES.glob("*.toml")))
    parser = argparse.ArgumentParser(prog="ablatune", description=f"{_DESCRIPTION}{names}.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    space = verbs.add_parser("space", help="the factors: domain, default, condition, meaning")
    _add_study(space, nargs="?")
    _add_json(space)
    form = space.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print docs/factors.md")
    form.add_argument("--schema", action="store_true", help="print the JSON schema of study files")

    plan = verbs.add_parser(
        "plan", help="validate everything, time a few steps, predict duration and cost"
    )
    _add_study(plan)
    plan.add_argument(
        "--no-timing", dest="timing", action="store_false", help="validate and count only"
    )
    plan.add_argument(
        "--nodes", type=_at_least_one, default=1, help="machines like this one to search on"
    )
    _add_json(plan)

    search = verbs.add_parser("search", help="run the search, or go on where it was left")
    _add_study(search)
    search.add_argument(
        "--dir", type=Path, help="the study's folder (default: runs/NAME of the study)"
    )
    search.add_argument(
        "--address",
        default="local",
        help="local: Ray on this machine; auto: the cluster that runs here, or RAY_ADDRESS; or "
        "HOST:PORT of a cluster's head",
    )
    search.add_argument("--quiet", action="store_true", help="show no progress")
    _add_json(search)

    status = verbs.add_parser("status", help="trials by state, best so far, rungs, time left")
    _add_folder(status)
    _add_json(status)

    report = verbs.add_parser("report", help="write report/index.html and tables as CSV")
    _add_folder(report)
    _add_json(report)

    compare = verbs.add_parser("compare", help="TensorBoard on the trials, on loopback")
    compare.add_argument("dir", type=Path, nargs="+", metavar="DIR", help="studies' folders")
    compare.add_argument("--port", type=int, help="default: 6006, or the next free one")
    compare.add_argument("--open", action="store_true", help="open it in the browser")
    _add_json(compare)
    return parser


def _at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, but it is {text}")
    return number


def _add_study(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "study", nargs=nargs, metavar="STUDY", help="a TOML file or a packaged study's name"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="override a key, for example --set data.path=FOLDER --set search.trials=8",
    )


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", type=Path, metavar="DIR", help="a study's folder")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document on standard output"
    )


if __name__ == "__main__":
    sys.exit(main())
