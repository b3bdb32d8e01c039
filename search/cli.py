"""The command line: `ablatune VERB`.

Exit codes: 0 done, 2 the input is wrong (one sentence), 130 interrupted, 1 anything else, among
that the machine's faults (one sentence) and a search of which every trial failed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path

from search.commands.standard_error import lasting_standard_error
from search.nodes.cluster_error import ClusterError
from search.nodes.signals import handling, ignore_signals, terminate
from search.trials.disk_errors import disk_sentence, is_of_disk
from spaces import STUDIES, UserError, shortened

_DESCRIPTION = (
    "Find the best multitask BERT recipe, and know which choice made it best. "
    "A STUDY is a TOML file, or the name of a packaged one: "
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the result is the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # What it cannot write is shown, and ends nothing.
            stream.reconfigure(errors="backslashreplace")
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            print(
                f"error: {argument} is not text in {sys.getfilesystemencoding()}; name files "
                "and folders so that it is.",
                file=sys.stderr,
            )
            return 2
    given = _parser().parse_args(arguments)
    with lasting_standard_error():
        return _run(given)


def _run(given: argparse.Namespace) -> int:
    try:
        with handling(terminate):
            # Takes seconds, in which one may press Ctrl-C.
            command = import_module(f"search.commands.{given.verb}")
            verb: Callable[[argparse.Namespace], int | None] = getattr(command, given.verb)
            code = verb(given)
            sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # One more has nothing left to end but Python's own ending, with a traceback.
        ignore_signals()
        on = ""
        if given.verb == "search":
            where = f" with --dir {shlex.quote(str(given.dir))}" if given.dir else ""
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
    return code or 0


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
    plan.add_argument("--nodes", type=_nodes, default=1, help="machines like this one to search on")
    _add_json(plan)

    search = verbs.add_parser("search", help="run the search, or go on where it was left")
    _add_study(search)
    search.add_argument(
        "--dir", type=_folder, help="the study's folder (default: runs/NAME of the study)"
    )
    search.add_argument(
        "--address",
        default="local",
        help="local: Ray on this machine; auto: the cluster that runs here, or RAY_ADDRESS; or "
        "HOST:PORT of a cluster's head",
    )
    search.add_argument("--quiet", action="store_true", help="show no progress, only what is amiss")
    _add_json(search)

    status = verbs.add_parser("status", help="trials by state, best so far, rungs, time left")
    _add_folder(status)
    _add_json(status)

    report = verbs.add_parser("report", help="write report/index.html and tables as CSV")
    _add_folder(report)
    _add_json(report)

    compare = verbs.add_parser("compare", help="TensorBoard on the trials, on loopback")
    compare.add_argument("dir", type=_folder, nargs="+", metavar="DIR", help="studies' folders")
    compare.add_argument("--port", type=_port, help="default: 6006, or the next free one")
    compare.add_argument("--open", action="store_true", help="open it in the browser")
    _add_json(compare)
    return parser


def _folder(text: str) -> Path:
    return Path(_filled(text))


def _filled(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must have a name, but it is empty")
    return text


def _nodes(text: str) -> int:
    return _whole(text, 1, 100_000)


def _port(text: str) -> int:
    return _whole(text, 0, 65535)


def _whole(text: str, low: int, high: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {low} to {high}, but it is {shortened(text)}"
        )
    return number


def _add_study(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "study",
        nargs=nargs,
        type=_filled,
        metavar="STUDY",
        help="a TOML file or a packaged study's name",
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
    parser.add_argument("dir", type=_folder, metavar="DIR", help="a study's folder")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document on standard output"
    )


if __name__ == "__main__":
    sys.exit(main())
