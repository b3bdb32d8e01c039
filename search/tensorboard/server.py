"""Starts TensorBoard on the trials of one study or several."""

from __future__ import annotations

import http.client
import json
import logging
import signal
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from search.tensorboard.event_file import EVENT_FILES
from search.tensorboard.experiment import merge_experiments
from spaces.errors import UserError

_HOST = "127.0.0.1"
_FIRST_LOAD_SECONDS = 20.0


def compare(
    folders: Sequence[Path],
    port: int | None = None,
    *,
    as_json: bool = False,
    open_browser: bool = False,
) -> None:
    """Serve TensorBoard on loopback until Ctrl-C or SIGTERM. Call it in the main thread.

    Args:
        folders: the studies' folders.
        port: None takes 6006 or the next free one, 0 any free one.
        as_json: print `{"url": ...}` on standard output instead of a line on standard error.

    Raises:
        UserError: for a folder without trials, or a port that cannot be had.
    """
    trials = [_trials(folder) for folder in folders]
    if not trials:
        raise UserError("There is nothing to compare: name at least one study's folder.")
    # SIGTERM unwinds like Ctrl-C, so that no temporary folder is left behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _log_directory(trials) as folder:
            url = _launch(folder, port)
            _wait_for_runs(url)
            if as_json:
                print(json.dumps({"url": url}), flush=True)
            else:
                print(f"TensorBoard is at {url} (Ctrl-C ends it)", file=sys.stderr, flush=True)
            if open_browser:
                webbrowser.open(url)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def _trials(folder: Path) -> Path:
    """The folder `trials/` of a study. Raises UserError where it holds no trials."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a study's folder.")
    if next(folder.glob(f"trials/*/{EVENT_FILES}"), None) is None:
        raise UserError(
            f"{folder} holds no trials to show; a study's folder has them in trials/, once a "
            "search has started."
        )
    return folder.resolve() / "trials"


@contextmanager
def _log_directory(trials: Sequence[Path]) -> Iterator[Path]:
    """One folder for TensorBoard: the study's own, or a temporary one of links to several."""
    if len(trials) == 1:
        yield trials[0]
        return
    with tempfile.TemporaryDirectory(prefix="ablatune-") as name:
        folder = Path(name)
        for study in dict.fromkeys(trials):
            link, count = folder / study.parent.name, 1
            while link.is_symlink():
                count += 1
                link = folder / f"{study.parent.name}-{count}"
            link.symlink_to(study, target_is_directory=True)
        merge_experiments(folder, trials)
        yield folder


def _launch(folder: Path, port: int | None) -> str:
    """Start the server in a daemon thread; its address."""
    if port is not None and not 0 <= port <= 65535:
        raise UserError(f"A port is a number from 0 to 65535, but got {port}.")
    # Imported here because it takes half a second and warns of a deprecation: only this verb
    # should.
    from tensorboard import default, program

    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    board = program.TensorBoard(plugins=default.get_static_plugins())
    # The fast loader is experimental, says so on standard error, and runs as another process.
    board.configure(logdir=str(folder), host=_HOST, port=port, load_fast="false")
    try:
        return str(board.launch())
    except program.TensorBoardPortInUseError:
        raise UserError(f"Port {port} is in use; leave it out to take a free one.") from None
    except program.TensorBoardServerException as error:
        raise UserError(f"TensorBoard cannot use port {port}: {error.msg}.") from None


def _wait_for_runs(url: str) -> None:
    """Wait until the page would show trials, since it does not reload itself when it has none."""
    # http.client asks no proxy, which urllib would for loopback too where one is set.
    deadline = time.monotonic() + _FIRST_LOAD_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_FIRST_LOAD_SECONDS)
        try:
            connection.request("GET", "/data/runs")
            if set(json.loads(connection.getresponse().read())) - {"."}:
                return
        except OSError:  # not listening yet
            pass
        finally:
            connection.close()
        time.sleep(0.05)
