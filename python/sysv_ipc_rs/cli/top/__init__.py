"""`sysv-ipc top`: the objects, live."""

import sys

import click

HEADINGS = (
    *("kind", "id", "key", "owner", "mode", "full"),
    *("size", "wait", "att", "change", "used", "processes"),
)


@click.command
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option(
    "--sort",
    type=click.Choice(HEADINGS),
    default="full",
    show_default=True,
    help="By which column.",
)
@click.option("--filter", "words", default="", help="Words, all of which a row has to have.")
def command(interval: float, sort: str, words: str) -> int:
    """Watch all objects: how full they are, what changes, who waits, who has them attached.

    The key ? tells the others.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise click.ClickException("top needs a terminal; for programs there is ls --json")
    from ._app import Top  # noqa: PLC0415 - slow to import

    app = Top(interval, sort, words)
    app.run()
    return app.return_code or 0
