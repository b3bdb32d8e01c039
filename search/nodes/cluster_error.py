"""The one exception for what goes wrong with Ray itself."""

from __future__ import annotations


class ClusterError(Exception):
    """Ray did not start, or has gone, for a reason that lies in the machine: one sentence.

    The command line prints it without a traceback and exits with code 1.
    """
