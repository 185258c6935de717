"""The group of all commands, and how a run of one ends."""

import importlib
import os
from collections.abc import Sequence

import click

from . import _output
from ._status import Status, of_error

NAME = "sysv-ipc"
COMPLETE = "_SYSV_IPC_COMPLETE"
COMMANDS = (
    *("ls", "show", "mk", "rm", "limits"),
    *("send", "receive", "dump"),
    *("top", "metrics", "doctor"),
)


class Commands(click.Group):
    """Loads the module of a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f".{cmd_name}", __package__).command
        return command


@click.group(
    NAME,
    cls=Commands,
    # All of the help would be in the one line that tells of wrong usage.
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(None, "-V", "--version", package_name="sysv-ipc-rs", prog_name=NAME)
def group() -> None:
    """System V semaphore sets, message queues and shared memory: see, make, use, remove them."""


def run(arguments: Sequence[str]) -> int:
    """Run a command; no error but a fault of ours leaves this as an exception."""
    if COMPLETE in os.environ:
        group.main(prog_name=NAME, complete_var=COMPLETE)
    path = NAME
    try:
        with group.make_context(NAME, list(arguments)) as context:
            try:
                status = group.invoke(context)
            finally:
                path = f"{NAME} {context.invoked_subcommand or ''}".rstrip()
        _output.flush()
        return int(status or Status.DONE)
    except click.exceptions.Exit as end:
        status = end.exit_code
    except (Exception, KeyboardInterrupt) as error:
        status, line = of_error(error)
        if line:
            _output.complain(line, path)
    _output.flush_or_forget()
    return int(status)
