"""`sysv-ipc metrics`: for Prometheus; once, into a file, or served."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import click

from .. import _output

MODE = 0o644


@click.command
@click.option(
    "--per-object", is_flag=True, help="Also of single objects, labelled by their id and key."
)
@click.option(
    "--max-objects",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Of how many objects of each kind at most.",
)
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    help="Serve at /metrics until interrupted; without a host, on loopback.",
)
@click.option(
    "--textfile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write this file at one stroke, as node_exporter's textfile collector wants it.",
)
def command(per_object: bool, max_objects: int, listen: str | None, textfile: Path | None) -> None:
    """Tell Prometheus what there is, how much of it is used, and the limits."""
    if listen is not None and textfile is not None:
        raise click.UsageError("either --listen or --textfile")
    from prometheus_client import generate_latest  # noqa: PLC0415 - slow to import

    from . import _collector, _serve  # noqa: PLC0415 - import it

    address = None if listen is None else _serve.Address.parse(listen)
    registry = _collector.registry(per_object, max_objects)
    if address is not None:
        _serve.serve(address, registry)
    elif textfile is not None:
        write_at_one_stroke(textfile, generate_latest(registry))
    else:
        _output.write_bytes(generate_latest(registry))


def write_at_one_stroke(path: Path, data: bytes) -> None:
    """Whoever reads the file sees all that it was before, or all of this; everybody may read it."""
    # Not *.prom, which node_exporter would read; in the same folder, so that it can be renamed.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, MODE)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
