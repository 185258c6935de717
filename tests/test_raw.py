"""The module `raw`: its names, its structs, and what its calls do to other threads."""

import copy
import errno
import inspect
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs
from support import Index, MakeQueue, MakeSet, python_prints
from sysv_ipc_rs import raw

FUNCTIONS = {
    "ftok": "(pathname, proj_id)",
    "semget": "(key, nsems, semflg)",
    "semop": "(semid, sops)",
    "semtimedop": "(semid, sops, timeout)",
    "semctl": "(semid, semnum, cmd, arg=None)",
    "msgget": "(key, msgflg)",
    "msgsnd": "(msqid, mtype, mtext, msgflg=0)",
    "msgrcv": "(msqid, msgsz, msgtyp=0, msgflg=0)",
    "msgctl": "(msqid, cmd, buf=None)",
    "shmget": "(key, size, shmflg)",
    "shmat": "(shmid, shmaddr=0, shmflg=0)",
    "shmdt": "(shmaddr)",
    "shmctl": "(shmid, cmd, buf=None)",
    "ipc": "(call, first, second, third, ptr, fifth)",
}

PERM = raw.IpcPerm(0xDEADBEEF, 1, 2, 3, 4, 0o640, 5)
STRUCTS: list[tuple[Any, str]] = [
    (raw.Sembuf(1, -2, 3), "sem_num sem_op sem_flg"),
    (PERM, "key uid gid cuid cgid mode seq"),
    (raw.SemidDs(PERM, 1, 2, 3), "sem_perm sem_otime sem_ctime sem_nsems"),
    (
        raw.MsqidDs(PERM, 1, 2, 3, 4, 5, 6, 7, 8),
        "msg_perm msg_stime msg_rtime msg_ctime msg_cbytes msg_qnum msg_qbytes msg_lspid msg_lrpid",
    ),
    (
        raw.ShmidDs(PERM, 1, 2, 3, 4, 5, 6, 7),
        "shm_perm shm_segsz shm_atime shm_dtime shm_ctime shm_cpid shm_lpid shm_nattch",
    ),
    (
        raw.Seminfo(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        "semmap semmni semmns semmnu semmsl semopm semume semusz semvmx semaem",
    ),
    (
        raw.Msginfo(1, 2, 3, 4, 5, 6, 7, 8),
        "msgpool msgmap msgmax msgmnb msgmni msgssz msgtql msgseg",
    ),
    (raw.Shminfo(1, 2, 3, 4, 5), "shmmax shmmin shmmni shmseg shmall"),
    (
        raw.ShmInfo(1, 2, 3, 4, 5, 6),
        "used_ids shm_tot shm_rss shm_swp swap_attempts swap_successes",
    ),
]

struct = pytest.mark.parametrize(
    ("value", "fields"),
    [(value, fields.split()) for value, fields in STRUCTS],
    ids=[type(value).__name__ for value, _ in STRUCTS],
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_cs_names_and_says_what_it_does(name: str) -> None:
    function = getattr(raw, name)
    assert str(inspect.signature(function)) == FUNCTIONS[name]
    assert (function.__name__, function.__module__) == (name, "sysv_ipc_rs.raw")
    assert pickle.loads(pickle.dumps(function)) is function
    doc = inspect.getdoc(function) or ""
    assert "Raises:" in doc
    assert doc.splitlines()[-1].startswith("See ")


def test_everything_is_public_and_nothing_else() -> None:
    classes = {type(value).__name__ for value, _ in STRUCTS}
    constants = {name for name in raw.__all__ if name.isupper()}
    assert set(raw.__all__) == set(FUNCTIONS) | classes | constants
    assert {name for name in dir(raw) if not name.startswith("_")} == set(raw.__all__)
    assert raw.IPC_PRIVATE == sysv_ipc_rs.IPC_PRIVATE == 0


def test_can_be_imported_first() -> None:
    assert python_prints("from sysv_ipc_rs.raw import SETVAL; print(SETVAL)") == "16\n"
    assert python_prints("import sysv_ipc_rs.raw as raw; print(raw.SETVAL)") == "16\n"


@struct
class TestStructs:
    def test_have_cs_fields(self, value: Any, fields: list[str]) -> None:
        cls = type(value)
        assert cls.__match_args__ == tuple(fields)
        assert str(inspect.signature(cls)) == f"({', '.join(fields)})"
        assert list(value._asdict()) == fields
        assert value == cls(**value._asdict())
        for field in fields:
            assert inspect.getdoc(getattr(cls, field))

    def test_are_values(self, value: Any, fields: list[str]) -> None:
        cls, first = type(value), fields[-1]
        assert cls.__module__ == "sysv_ipc_rs.raw"
        for same in (
            pickle.loads(pickle.dumps(value)),
            copy.copy(value),
            copy.deepcopy(value),
            value._replace(),
            cls(*value._asdict().values()),
        ):
            assert (type(same), same, hash(same)) == (cls, value, hash(value))
        other = value._replace(**{first: 99})
        assert (other != value, getattr(other, first)) == (True, 99)
        assert value != tuple(value._asdict().values())
        assert value is not None

    def test_are_frozen(self, value: Any, fields: list[str]) -> None:
        for field in (*fields, "new"):
            with pytest.raises(AttributeError):
                setattr(value, field, 1)
        with pytest.raises(AttributeError):
            delattr(value, fields[0])
        with pytest.raises(TypeError):
            type("Sub", (type(value),), {})

    def test_show_their_fields(self, value: Any, fields: list[str]) -> None:
        assert eval(repr(value), vars(raw)) == value
        assert repr(value).startswith(f"{type(value).__name__}({fields[0]}=")

    def test_want_every_field_of_its_type(self, value: Any, fields: list[str]) -> None:
        cls, good = type(value), value._asdict()
        for field in fields:
            with pytest.raises(TypeError):
                cls(**{key: good[key] for key in good if key != field})
            for bad in (1.0, "1", None, b"", Index(1.0)):
                with pytest.raises(TypeError):
                    cls(**{**good, field: bad})
                with pytest.raises(TypeError):
                    value._replace(**{field: bad})
        with pytest.raises(TypeError):
            value._replace(unknown=1)
        with pytest.raises(TypeError):
            cls(*good.values(), 1)


def test_a_nested_struct_can_be_replaced_in_part() -> None:
    ds = raw.SemidDs(PERM, 1, 2, 3)
    changed = ds._replace(sem_perm=ds.sem_perm._replace(mode=0o600, uid=9), sem_nsems=4)
    assert changed == raw.SemidDs(raw.IpcPerm(0xDEADBEEF, 9, 2, 3, 4, 0o600, 5), 1, 2, 4)
    assert ds == raw.SemidDs(PERM, 1, 2, 3)
    if sys.version_info >= (3, 13):
        assert copy.replace(ds, sem_nsems=4).sem_nsems == 4


def test_a_key_of_a_struct_is_signed_or_unsigned() -> None:
    assert PERM.key == -559038737
    assert PERM._replace(key=-559038737) == PERM


class TestFtok:
    def test_is_cs(self, tmp_path: Path) -> None:
        stat = tmp_path.stat()
        low = (stat.st_dev & 0xFF) << 16 | stat.st_ino & 0xFFFF
        for path in (tmp_path, str(tmp_path), bytes(tmp_path)):
            assert raw.ftok(path, 0x47) == 0x47 << 24 | low

    @pytest.mark.parametrize("proj_id", [0, 256, -256, 255, -1, 2**31 - 1, -(2**31)])
    def test_takes_the_low_8_bits_of_any_int(self, proj_id: int) -> None:
        key = raw.ftok("/", proj_id)
        assert key >> 24 & 0xFF == proj_id & 0xFF
        assert key == raw.ftok("/", proj_id & 0xFF)
        assert -(2**31) <= key < 2**31

    @pytest.mark.parametrize("proj_id", [2**31, -(2**31) - 1, 2**64])
    def test_takes_an_int(self, proj_id: int) -> None:
        with pytest.raises(OverflowError):
            raw.ftok("/", proj_id)
        for bad in (1.0, "A", None, b"A"):
            with pytest.raises(TypeError):
                raw.ftok("/", bad)  # type: ignore[arg-type]

    def test_of_no_file(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"
        with pytest.raises(FileNotFoundError) as caught:
            raw.ftok(missing, 1)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, missing)
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError):
            raw.ftok(tmp_path / "file" / "below", 1)
        with pytest.raises(ValueError, match="null byte"):
            raw.ftok("a\0b", 1)
        for bad in (1, None, 1.0):
            with pytest.raises(TypeError):
                raw.ftok(bad, 1)  # type: ignore[arg-type]


def keeps_the_interpreter(call: Callable[[], object], times: int = 20_000) -> bool:
    """Whether no other thread ran meanwhile, though one was ready all the time."""
    call()  # What is made once, at the first call, may let others run.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    gate, ran = threading.Lock(), threading.Event()
    gate.acquire()

    def run() -> None:
        with gate:
            ran.set()

    thread = threading.Thread(target=run)
    thread.start()
    support.wait_for(lambda: support.state(thread.native_id or 0) == "S")
    try:
        gate.release()
        for _ in range(times):
            call()
            if ran.is_set():
                return False
        return True
    finally:
        sys.setswitchinterval(interval)
        thread.join()


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no lock to keep"
)
class TestInterpreterLock:
    def test_is_kept_by_calls_that_do_not_wait(
        self, make_set: MakeSet, make_queue: MakeQueue
    ) -> None:
        semid, msqid, nowait = make_set(0), make_queue(), raw.IPC_NOWAIT

        def call() -> None:
            raw.semop(semid, [(0, 1, 0), (0, 1, raw.SEM_UNDO), (0, -2, nowait)])
            raw.semtimedop(semid, [(0, 1, 0), (0, -1, 0)], 0)
            raw.semctl(semid, 0, raw.GETALL)
            raw.msgsnd(msqid, 1, b"m", nowait)
            raw.msgrcv(msqid, 1, 0, nowait)
            with suppress(OSError):
                raw.msgrcv(msqid, 1, 0, nowait)

        assert keeps_the_interpreter(call, times=2000)

    def test_is_released_by_calls_that_may_wait(
        self, make_set: MakeSet, make_queue: MakeQueue
    ) -> None:
        semid, msqid = make_set(0), make_queue()

        def send() -> None:
            raw.msgsnd(msqid, 1, b"")
            raw.msgrcv(msqid, 0, 0, raw.IPC_NOWAIT)

        def receive() -> None:
            raw.msgsnd(msqid, 1, b"", raw.IPC_NOWAIT)
            raw.msgrcv(msqid, 0)

        calls: list[Callable[[], object]] = [
            lambda: raw.semop(semid, [(0, 0, 0)]),
            lambda: raw.semtimedop(semid, [(0, 0, 0)], 1),
            lambda: raw.semop(semid, [(0, 0, raw.IPC_NOWAIT), (0, 0, 0)]),
            send,
            receive,
        ]
        for call in calls:
            assert not keeps_the_interpreter(call, times=10**6)
