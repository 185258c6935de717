"""Keys: IPC_PRIVATE, ftok, key_from_name."""

import ctypes
import hashlib
import os
import pickle
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import ftok, key_from_name


def test_ipc_private_is_zero() -> None:
    assert ipc.IPC_PRIVATE == 0


@pytest.mark.parametrize(
    ("name", "key"), [("", 0x63B0C442), ("cache", 0x5E1ECEE0), ("schlüssel", 0x4CEC7A8E)]
)
def test_key_from_name_never_changes(name: str, key: int) -> None:
    assert key_from_name(name) == key


@pytest.mark.parametrize("name", ["", "a", "jobs", "ключ", "鍵", "🔑", "a\0b", "x" * 100_000])
def test_key_from_name_is_the_head_of_sha256(name: str) -> None:
    digest = hashlib.sha256(name.encode("utf-8")).digest()
    key = int.from_bytes(digest[:4], "big") & 0x7FFF_FFFF
    assert key_from_name(name) == (key or 1)
    assert 0 < key_from_name(name) < 2**31


@pytest.mark.parametrize("name", [None, b"bytes", 5, ["list"], Path("path")])
def test_key_from_name_takes_text_only(name: object) -> None:
    with pytest.raises(TypeError):
        key_from_name(name)  # type: ignore[arg-type]


def test_key_from_name_refuses_lone_surrogates() -> None:
    with pytest.raises(UnicodeEncodeError):
        key_from_name("\ud800")


@pytest.mark.parametrize("proj_id", [1, 7, 255, 0x141, -1, -255, 2**31 - 1, 0x7FFFFF01])
def test_ftok_agrees_with_c(tmp_path: Path, proj_id: int) -> None:
    path = tmp_path / "file"
    path.touch()
    libc = ctypes.CDLL(None)
    for known in (path, tmp_path):
        assert ftok(known, proj_id) == libc.ftok(os.fsencode(known), proj_id)


def test_ftok_takes_every_kind_of_path(tmp_path: Path) -> None:
    path = tmp_path / "náme"
    path.touch()
    assert ftok(path, 3) == ftok(str(path), 3) == ftok(os.fsencode(path), 3)
    undecodable = os.fsencode(tmp_path) + b"/\xff"
    Path(os.fsdecode(undecodable)).touch()
    assert ftok(undecodable, 3) == ftok(os.fsdecode(undecodable), 3)


def test_ftok_takes_whatever_has_index() -> None:
    assert ftok("/", support.Index(5)) == ftok("/", 5)


@pytest.mark.parametrize("proj_id", [0, 256, -256, 0x7FFF_FF00, -(2**31)])
def test_ftok_refuses_a_project_whose_low_byte_is_zero(proj_id: int) -> None:
    with pytest.raises(ValueError, match="low 8 bits"):
        ftok("/", proj_id)


@pytest.mark.parametrize("proj_id", [2**31, 2**31 + 1, -(2**31) - 1, 2**64 + 1, -(10**30)])
def test_ftok_refuses_a_project_beyond_an_int(proj_id: int) -> None:
    with pytest.raises((ValueError, OverflowError), match="-2147483648 to 2147483647"):
        ftok("/", proj_id)


@pytest.mark.parametrize("proj_id", ["a", b"a", 1.0, None])
def test_ftok_takes_ints_only_as_project(proj_id: object) -> None:
    with pytest.raises(TypeError):
        ftok("/", proj_id)  # type: ignore[arg-type]


def test_ftok_says_which_path_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught:
        ftok(path, 1)
    assert caught.value.filename == path
    assert str(path) in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is FileNotFoundError


def test_ftok_says_that_a_path_is_not_to_be_looked_at() -> None:
    directory = Path("/proc/1/fd")

    def look() -> None:
        ftok(directory / "0", 1)

    with pytest.raises(PermissionError):
        support.in_child(look, uid=support.NOBODY)


@pytest.mark.parametrize(
    ("path", "error"), [("a\0b", ValueError), (None, TypeError), (5, TypeError)]
)
def test_ftok_refuses_what_is_no_path(path: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        ftok(path, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spelling", "key"),
    [(0xDEADBEEF, -559038737), (-559038737, -559038737), (2**32 - 1, -1), (-(2**31), -(2**31))],
)
def test_a_key_may_be_spelled_with_or_without_sign(spelling: int, key: int) -> None:
    made = ipc.SemaphoreSet.create(spelling)
    try:
        assert made.key == key
        assert ipc.SemaphoreSet.open(key) == made
        assert ipc.SemaphoreSet.open(key % 2**32) == made
        assert made.stat().key == key
        assert f"{key % 2**32:#010x}" in repr(made)
    finally:
        made.remove()


def test_private_objects_have_no_key_and_differ() -> None:
    one, other = ipc.SemaphoreSet.create(ipc.IPC_PRIVATE), ipc.SemaphoreSet.create()
    try:
        assert one.key == other.key == 0
        assert one.id != other.id
    finally:
        one.remove()
        other.remove()
