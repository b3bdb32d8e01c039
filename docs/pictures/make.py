"""Makes the README's pictures from a real search of the quickstart.

    python docs/pictures/make.py [--dir FOLDER] [--browser chromium] [--set KEY=VALUE ...]

The search runs in a terminal of 80 columns. `live.svg` is what stood on it when three quarters of
the trials had ended, with the same text and colours. `report.png` is a photograph, taken by a
browser without a window, of the report's head, learning curves and first effects. A search that
FOLDER holds already in full gives the report's picture only.
"""

from __future__ import annotations

import argparse
import json
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
_WINDOW = "1400,1560"  # pixels
_SECTIONS = ("Learning curves", "Effects of the factors")
_ONLY_THESE = """<script>
for (const section of document.querySelectorAll("section"))
  if (!SECTIONS.includes(section.querySelector("h2").textContent)) section.remove();
</script>"""
# What `rich` writes before it draws its table again: to the left, up, and erase line by line.
_AGAIN = re.compile(r"(?:\r|\x1b\[1A|\x1b\[2K)+")
_HEAD = re.compile(r" (\d+)/(\d+) trials +(\d+) running ")


def screen_of_search(arguments: list[str]) -> list[str]:
    """What a search wrote on its terminal, cut where it drew its table again."""
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
    return _AGAIN.split(text)


def frame_of(frames: list[str], share: float) -> str | None:
    """The first table in which this share of the trials had ended and others were running; None
    where a search had nothing left to run."""
    for frame in frames:
        head = _HEAD.search(Text.from_ansi(frame).plain)
        if head and int(head[1]) >= share * int(head[2]) and int(head[3]) > 0:
            return frame
    return None


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
    """The report's page with its head and `_SECTIONS` alone, as far down as the window reaches."""
    text = page.read_text("utf-8")
    if missing := [name for name in _SECTIONS if f"<h2>{name}</h2>" not in text]:
        sys.exit(f"{page} has no section {missing[0]!r}.")
    with tempfile.TemporaryDirectory() as profile:
        shown = Path(profile) / "page.html"
        shown.write_text(text + _ONLY_THESE.replace("SECTIONS", json.dumps(_SECTIONS)), "utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        options += ["--no-first-run", "--disable-background-networking"]
        options += ["--disable-component-update", "--disable-sync", "--hide-scrollbars"]
        options += [f"--user-data-dir={profile}", f"--window-size={_WINDOW}"]
        command = [browser, *options, f"--screenshot={file}", shown.as_uri()]
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
        if (frame := frame_of(frames, 0.75)) is not None:
            draw_terminal(frame, _PICTURES / "live.svg")
        photograph(folder / "report" / "index.html", _PICTURES / "report.png", options.browser)


if __name__ == "__main__":
    main()
