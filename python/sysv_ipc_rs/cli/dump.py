"""`sysv-ipc dump`: the bytes of a segment."""

from collections.abc import Iterator

import click

from .. import Attachment, SharedMemory
from . import _arguments, _output
from ._objects import SEGMENT, Named, named, only

CHUNK = 1 << 20
LINE = 16


def chunks(attachment: Attachment, offset: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The bytes from an offset to an end, by offset."""
    for start in range(offset, end, CHUNK):
        yield start, attachment.read(min(CHUNK, end - start), start)


def hex_line(offset: int, data: bytes) -> str:
    """As `hexdump -C` has it."""
    halves = f"{data[:8].hex(' '):<23}  {data[8:].hex(' '):<23}"
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)
    return f"{offset:08x}  {halves}  |{text}|\n"


def write_hex(attachment: Attachment, offset: int, end: int) -> None:
    """Lines of 16 bytes; equal ones in a row are one `*`."""
    before, starred = b"", False
    for start, data in chunks(attachment, offset, end):
        for place in range(0, len(data), LINE):
            line = data[place : place + LINE]
            if line == before:
                _output.write("" if starred else "*\n")
                starred = True
            else:
                _output.write(hex_line(start + place, line))
                before, starred = line, False
    _output.write(f"{end:08x}\n")


@click.command
@named(SEGMENT)
@click.option("--offset", metavar="N", callback=_arguments.size, help="From this byte on.")
@click.option("--size", metavar="N", callback=_arguments.size, help="At most so many bytes.")
@click.option("--hex", "as_hex", is_flag=True, help="In hex beside their text, as on a terminal.")
def command(objects: list[Named], offset: int | None, size: int | None, as_hex: bool) -> None:
    """Write the bytes of a segment to stdout, as they are or in hex.

    The segment is attached for that time, read-only, which its times and its last pid tell.
    """
    segment = only(objects).open()
    assert isinstance(segment, SharedMemory)
    start = offset or 0
    if start > segment.size:
        raise click.UsageError(f"--offset {start} is behind the segment's {segment.size} bytes")
    end = segment.size if size is None else min(segment.size, start + size)
    with segment.attach(readonly=True) as attachment:
        if as_hex or _output.is_terminal():
            write_hex(attachment, start, end)
        else:
            for _, data in chunks(attachment, start, end):
                _output.write_bytes(data)
