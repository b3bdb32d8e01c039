"""Makes the README's pictures from a real search of the quickstart.

    python docs/pictures/make.py [--dir FOLDER] [--browser chromium] [--set KEY=VALUE ...]

The search runs in a terminal of 80 columns. `live.svg` is what stood on it when three quarters of
the trials had ended, drawn with the same text and colours; `report.png` is a photograph of the
report's page that a browser takes without a window. A search that FOLDER holds already in full
gives the report's picture only.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

_PICTURES = Path(__file__).parent
_COLUMNS = 80
_PAGE = "1400,1330"  # pixels: as far as the first of the page's tables
# What `rich` writes before it draws its table again: to the left, up, and erase line by line.
_AGAIN = re.compile(r"(?:\r|\x1b\[1A|\x1b\[2K)+")
_ENDED = re.compile(r" (\d+)/(\d+) trials ")


def screen_of_search(arguments: list[str]) -> list[str]:
    """All pictures of the live table that a search drew on its terminal, in order."""
    child, terminal = pty.fork()
    if child == 0:
        size = {"COLUMNS": str(_COLUMNS), "LINES": "24"}
        program = str(Path(sys.executable).with_name("ablatune"))
        os.execve(program, [program, *arguments], os.environ | size | {"TERM": "xterm-256color"})
    written = bytearray()
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end is closed.
            break
        if not piece:
            break
        written += piece
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(written.decode(errors="replace")[-2000:])
    text = written.decode().replace("\r\n", "\n")
    return [frame for frame in _AGAIN.split(text) if _ENDED.search(frame)]


def frame_of(frames: list[str], share: float) -> str:
    """The first frame in which this share of the trials had ended."""
    for frame in frames:
        ended = _ENDED.search(Text.from_ansi(frame).plain)
        if ended and int(ended[1]) >= share * int(ended[2]):
            return frame
    sys.exit("The search drew no table: it was there already, or it failed.")


def draw_terminal(frame: str, file: Path) -> None:
    """The frame as an SVG file, in the fonts that the reader has."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=_COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(frame.rstrip()))
        drawing = console.export_svg(
            title="ablatune search quickstart", theme=DEFAULT_TERMINAL_THEME, unique_id="live"
        )
    file.write_text(re.sub(r"\s*@font-face \{.*?\}", "", drawing, flags=re.DOTALL), "utf-8")


def photograph(page: Path, file: Path, browser: str) -> None:
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        options += ["--no-first-run", "--disable-background-networking"]
        options += ["--disable-component-update", "--disable-sync", "--hide-scrollbars"]
        options += [f"--user-data-dir={profile}", f"--window-size={_PAGE}"]
        command = [browser, *options, f"--screenshot={file}", page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="The README's pictures, from a real search.")
    parser.add_argument("--dir", type=Path, help="the study's folder, kept; left out: removed")
    parser.add_argument("--browser", default="chromium", help="Chromium or a browser made from it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.dir or Path(temporary) / "quickstart"
        arguments = ["search", "quickstart", "--dir", str(folder)]
        arguments += [part for setting in options.set for part in ("--set", setting)]
        frames = screen_of_search(arguments)
        if frames:
            draw_terminal(frame_of(frames, 0.75), _PICTURES / "live.svg")
        photograph(folder / "report" / "index.html", _PICTURES / "report.png", options.browser)


if __name__ == "__main__":
    main()
