"""`ablatune compare`: TensorBoard on one study or several."""

from __future__ import annotations

import argparse


def compare(given: argparse.Namespace) -> None:
    """Start TensorBoard on the trials of one study or several."""
    from search.tensorboard.server import compare as serve

    serve(given.dir, given.port, as_json=given.json, open_browser=given.open)
