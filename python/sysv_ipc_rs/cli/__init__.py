"""The command `sysv-ipc`: one module a command, each loaded when it is called.

A command `x` is the click command `command` in the module `x` of this package. It returns its exit
status (None is 0) and raises what went wrong; `_app.run` makes one line and a status of that. What
is slow to import (rich, textual, prometheus_client, json) is imported where it is used.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]

MISSING = "sysv-ipc: its commands need click: pip install 'sysv-ipc-rs[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What stands after the command's name; `sys.argv[1:]` unless given.

    Returns:
        The exit status.
    """
    try:
        try:
            from ._app import run  # noqa: PLC0415 - click may be missing
        except ModuleNotFoundError as error:
            if error.name != "click":
                raise
            if sys.stderr is not None:
                print(MISSING, file=sys.stderr)
            return 1
        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return 130
