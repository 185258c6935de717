"""The exit statuses, and what an error says."""

import enum
import errno

import click

from .. import WaitTimeoutError


class Status(enum.IntEnum):
    """How `sysv-ipc` ends."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING = 3
    """`send` or `receive` timed out, or there was nothing."""
    FOUND = 4
    """`doctor` found something."""
    INTERRUPTED = 130


class OutputError(Exception):
    """What was to be written did not go out; raised from the OSError that tells why."""


def of_error(error: BaseException) -> tuple[Status, str]:  # noqa: PLR0911 - a table
    """The status and the line of an error; no line where there is nobody to read it.

    An error that is none of these is a fault of ours, and is raised again.
    """
    match error:
        case click.exceptions.Abort() | KeyboardInterrupt():
            return Status.INTERRUPTED, ""
        case click.UsageError():
            return Status.USAGE, _usage(error)
        case click.ClickException():
            return Status.FAILED, error.format_message()
        case OutputError(__cause__=OSError(errno=errno.EPIPE)) | OSError(errno=errno.EPIPE):
            return Status.FAILED, ""
        case OutputError(__cause__=OSError() as cause):
            return Status.FAILED, f"can't write: {_text(cause)}"
        case WaitTimeoutError():
            return Status.NOTHING, _text(error)
        case OSError():
            return Status.FAILED, _text(error)
        case ModuleNotFoundError(name=str(name)) if not name.startswith("sysv_ipc_rs"):
            return Status.FAILED, f"{error}: pip install 'sysv-ipc-rs[cli]'"
        case MemoryError():
            return Status.FAILED, "out of memory"
        case ValueError() | OverflowError():
            # Arguments that the package refuses, before any system call.
            return Status.USAGE, str(error)
    raise error


def _text(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _usage(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx else "sysv-ipc"
    # Choices stand on lines of their own.
    message = " ".join(error.format_message().split())
    return f"{message} (see '{path} --help')"
