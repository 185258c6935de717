"""Every constant of `raw`, and the C type of every field, against the C headers of this machine."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sysv_ipc_rs import raw

NAMES = """
    IPC_CREAT IPC_EXCL IPC_NOWAIT IPC_RMID IPC_SET IPC_STAT IPC_INFO IPC_PRIVATE SEM_UNDO
    GETPID GETVAL GETALL GETNCNT GETZCNT SETVAL SETALL SEM_STAT SEM_INFO SEM_STAT_ANY SEMVMX
    SEMAEM MSG_NOERROR MSG_EXCEPT MSG_COPY MSG_STAT MSG_INFO MSG_STAT_ANY SHM_R SHM_W
    SHM_RDONLY SHM_RND SHM_REMAP SHM_EXEC SHM_LOCK SHM_UNLOCK SHM_STAT SHM_INFO SHM_STAT_ANY
    SHM_DEST SHM_LOCKED SHM_HUGETLB SHM_NORESERVE SHM_HUGE_SHIFT SHM_HUGE_MASK SHM_HUGE_2MB
    SHM_HUGE_1GB SHMLBA
"""
CONSTANTS = NAMES.split()

SYSTEM = "#include <sys/ipc.h>\n#include <sys/sem.h>\n#include <sys/msg.h>\n#include <sys/shm.h>\n"
KERNEL = SYSTEM.replace("sys/", "linux/")

STRUCTS: dict[str, Any] = {
    "struct sembuf": raw.Sembuf,
    "struct ipc_perm": raw.IpcPerm,
    "struct semid_ds": raw.SemidDs,
    "struct msqid_ds": raw.MsqidDs,
    "struct shmid_ds": raw.ShmidDs,
    "struct seminfo": raw.Seminfo,
    "struct msginfo": raw.Msginfo,
    "struct shminfo": raw.Shminfo,
    "struct shm_info": raw.ShmInfo,
}

# What glibc hides behind underscores.
C_NAMES = {"key": "__key", "seq": "__seq", "msg_cbytes": "__msg_cbytes"}

PERM = raw.IpcPerm(0, 0, 0, 0, 0, 0, 0)


class Field(NamedTuple):
    struct: str
    name: str
    c_name: str


FIELDS = [
    Field(struct, name, C_NAMES.get(name, name))
    for struct, cls in STRUCTS.items()
    for name in cls.__match_args__
    if not name.endswith("_perm")
]


def printed(folder: Path, includes: str, lines: str) -> dict[str, str]:
    """What a C program prints that has these includes and lines in its `main`."""
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler):
        pytest.skip("needs a C compiler")
    source, program = folder / "program.c", folder / "program"
    source.write_text(
        f"#define _GNU_SOURCE\n{includes}#include <stddef.h>\n#include <stdio.h>\n"
        f"int main(void) {{\n{lines}return 0;\n}}\n"
    )
    subprocess.run([compiler, "-w", "-o", program, source], check=True)
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return dict(line.split(" = ") for line in output.splitlines())


@pytest.fixture(scope="module", params=[SYSTEM, KERNEL], ids=["C library", "kernel"])
def header(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The constants that these headers define."""
    lines = "".join(
        f'#ifdef {name}\nprintf("{name} = %lld\\n", (long long)({name}));\n#endif\n'
        for name in CONSTANTS
    )
    return printed(tmp_path_factory.mktemp("constants"), request.param, lines)


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Bytes of each field, negative for signed ones."""
    lines = "".join(
        f"{{ {field.struct} it; __typeof__(it.{field.c_name}) zero = 0, less = zero - 1;\n"
        f'printf("{field.struct}.{field.name} = %d\\n", '
        "less < zero ? -(int)sizeof(zero) : (int)sizeof(zero)); }\n"
        for field in FIELDS
    )
    return printed(tmp_path_factory.mktemp("fields"), SYSTEM, lines)


def test_the_constants_are_those_of_the_interface() -> None:
    assert {name for name in raw.__all__ if name.isupper()} == set(CONSTANTS)
    assert all(type(getattr(raw, name)) is int for name in CONSTANTS)


def test_each_constant_is_the_headers(header: dict[str, str]) -> None:
    assert len(header) > 30
    assert header == {name: str(getattr(raw, name)) for name in header}


def test_each_constant_is_in_some_header(tmp_path: Path) -> None:
    lines = "".join(f'#ifdef {name}\nprintf("{name} = 1\\n");\n#endif\n' for name in CONSTANTS)
    known: set[str] = set()
    for includes in (SYSTEM, KERNEL):
        known |= printed(tmp_path, includes, lines).keys()
    assert set(CONSTANTS) - known == set()


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: f"{field.struct}.{field.name}")
def test_each_field_holds_what_its_c_type_holds(fields: dict[str, str], field: Field) -> None:
    size = int(fields[f"{field.struct}.{field.name}"])
    bits = abs(size) * 8
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if size < 0 else (0, 2**bits - 1)
    cls = STRUCTS[field.struct]
    zeros = {name: PERM if name.endswith("_perm") else 0 for name in cls.__match_args__}

    for fits in (least, 0, most):
        assert getattr(cls(**{**zeros, field.name: fits}), field.name) == fits

    # A key may be spelled unsigned.
    beyond = 2**32 if field.name == "key" else most + 1
    for too_wide in (least - 1, beyond, 2**64, -(2**63) - 1, 10**400):
        with pytest.raises(OverflowError, match="does not fit a C "):
            cls(**{**zeros, field.name: too_wide})
        with pytest.raises(OverflowError):
            cls(**zeros)._replace(**{field.name: too_wide})
