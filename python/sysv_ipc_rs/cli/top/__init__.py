"""`sysv-ipc top`: the objects, live."""

import sys

import click

HEADINGS = (
    *("kind", "id", "key", "owner", "mode", "full"),
    *("size", "wait", "att", "change", "used", "processes"),
)

KEYS = """\
Up Down PgUp PgDn ...  move; also j k g G
Enter, double click    details of an object
Left Right             sort by another column; or click a heading
r                      reverse the order
/                      filter by words, or by an id or pid
Esc                    no filter
Delete, d              remove, after a question
Space                  pause, and go on
+ -                    look more often, less often
q                      quit

full       of a queue: how full it is
           of a segment: its share of all memory (shmall)
           of a set: its share of all semaphores (semmns)
wait       how many wait on it
att        how many times it is attached
change     since the look before; where no number changed,
           "used", or "set" (its mode, owner or values)
used       how long ago
processes  who waits or has it attached, if /proc tells"""
HELP = """Watch all objects: how full they are, what changes, who waits, who has them attached.

Keys (? tells them, too) and columns:

""" + "\n\n".join(f"\b\n{part}" for part in KEYS.split("\n\n"))


@click.command(help=HELP)
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
    """Watch all objects."""
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise click.ClickException("top needs a terminal; for programs there is ls --json")
    from ._app import Top  # noqa: PLC0415 - slow to import

    app = Top(interval, sort, words)
    app.run()
    return app.return_code or 0
