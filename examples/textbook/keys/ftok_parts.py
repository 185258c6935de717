"""What ftok() takes from a file and a project number, and what it leaves out.

8 bits of the project, 8 of the device, 16 of the inode: a file that was deleted and made again has
another key, and two files may have the same one. `key_from_name` needs no file at all.

Prints:
    the parts are right
    another project, another key: True
    projects 71 and 71 + 256, one key: True
    a hard link, one key: True
    two files found with one key: True
    key_from_name('textbook'): 0x16a9b27c, on every machine
"""

import os
import tempfile
from collections.abc import Iterator

from sysv_ipc_rs import ftok, key_from_name


def files(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def collision() -> tuple[str, str] | None:
    """Two files, not links of one, with the same key for the same project."""
    seen: dict[int, str] = {}
    for path in files("/usr"):
        other = seen.setdefault(ftok(path, 71), path)
        if not os.path.samefile(path, other):
            return path, other
    return None


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "file")
    open(path, "w").close()
    stat = os.stat(path)
    by_hand = 71 << 24 | (stat.st_dev & 0xFF) << 16 | stat.st_ino & 0xFFFF
    print("the parts are", "right" if ftok(path, 71) == by_hand else "wrong")
    print("another project, another key:", ftok(path, 72) != ftok(path, 71))
    print("projects 71 and 71 + 256, one key:", ftok(path, 71 + 256) == ftok(path, 71))
    os.link(path, path + "2")
    print("a hard link, one key:", ftok(path + "2", 71) == ftok(path, 71))
print("two files found with one key:", collision() is not None)
print(f"key_from_name('textbook'): {key_from_name('textbook'):#x}, on every machine")
