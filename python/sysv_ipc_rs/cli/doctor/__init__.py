"""`sysv-ipc doctor`: what is wrong, or soon will be, and what to do about each."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import click

from .. import _output
from .._status import Status
from . import _host, _left, _limits
from ._finding import Finding, Severity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Console

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    *(_limits.nearly_used_up, _limits.nearly_full),
    *(_left.waiters_behind_the_dead, _left.orphans, _left.suspects),
    *(_left.world_writable, _left.marked_but_attached),
    *(_host.remove_ipc, _host.hidden_processes, _host.own_namespace),
)
STYLES = {Severity.INFO: "cyan", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}


def findings(least: Severity = Severity.INFO) -> list[Finding]:
    """What all checks have found, the worst first."""
    found = [finding for check in CHECKS for finding in check() if finding.severity >= least]
    return sorted(found, key=lambda finding: -finding.severity)


@click.command
@click.option("--json", "as_json", is_flag=True, help="A list of {check, severity, kind, ...}.")
@click.option(
    "--least",
    type=click.Choice([str(severity) for severity in Severity]),
    default=str(Severity.INFO),
    help="Leave out what is less severe; it then doesn't count in the exit status either.",
)
def command(as_json: bool, least: str) -> Status:
    """Look for what is wrong or soon will be, and tell what to do about it.

    Limits and queues that are nearly used up, objects that are left over or open to every user,
    waits behind a dead process, removed segments still in use, and what the system is set up to
    do: RemoveIPC of systemd, an IPC namespace of our own, a /proc that hides processes.

    The exit status is 4 if anything was found.
    """
    found = findings(Severity[least.upper()])
    if as_json:
        _output.write_json(finding.as_dict() for finding in found)
    elif _output.is_terminal():
        from rich.console import Console  # noqa: PLC0415 - slow to import

        console = Console()
        with console.capture() as shown:
            show(found, console)
        _output.write(shown.get())
    else:
        write(found)
    return Status.FOUND if found else Status.DONE


def subject(finding: Finding) -> str:
    """Which object, or which kind of objects, it is about; nothing for the whole system."""
    if finding.kind is None:
        return ""
    return f"{finding.kind} {finding.id}" if finding.id is not None else f"{finding.kind}s"


def write(found: Iterable[Finding]) -> None:
    """Plain text, two lines each."""
    for finding in found:
        about = ": ".join(filter(None, (str(finding.severity), finding.check, subject(finding))))
        _output.write(f"{about}: {finding.message}\n  {finding.remedy}\n")


def show(found: Sequence[Finding], console: "Console") -> None:
    """For a person: what is to be typed is not broken into lines."""
    from rich import padding, text  # noqa: PLC0415 - slow to import

    if not found:
        console.print("Nothing found.", style="green")
    for finding in found:
        style = STYLES[finding.severity]
        head = (f" {str(finding.severity).upper()} ", f"reverse {style}")
        about = ((f" {finding.check}  ", style), (subject(finding), "bold"))
        console.print(text.Text.assemble(head, *about))
        console.print(padding.Padding(text.Text(finding.message), (0, 0, 0, 2)))
        console.print(text.Text(f"  {finding.remedy}\n", "green"), soft_wrap=True)
