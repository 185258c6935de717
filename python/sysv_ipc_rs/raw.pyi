from collections.abc import Iterator
from typing import (
    Any,
    Final,
    Literal,
    Protocol,
    Self,
    SupportsFloat,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    final,
    overload,
)

from _typeshed import StrOrBytesPath
from typing_extensions import Buffer

_T_co = TypeVar("_T_co", covariant=True)

# A list, a tuple, an array, a buffer.
class _Elements(Protocol[_T_co]):
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_T_co]: ...

# Seconds: any real number; None = for ever.
_Timeout: TypeAlias = SupportsFloat | SupportsIndex | None

# A Sembuf or (sem_num, sem_op, sem_flg).
_Operation: TypeAlias = Sembuf | tuple[SupportsIndex, SupportsIndex, SupportsIndex]

# None is NULL.
_Address: TypeAlias = SupportsIndex | None

__all__ = [
    "GETALL",
    "GETNCNT",
    "GETPID",
    "GETVAL",
    "GETZCNT",
    "IPC_CREAT",
    "IPC_EXCL",
    "IPC_INFO",
    "IPC_NOWAIT",
    "IPC_PRIVATE",
    "IPC_RMID",
    "IPC_SET",
    "IPC_STAT",
    "MSG_COPY",
    "MSG_EXCEPT",
    "MSG_INFO",
    "MSG_NOERROR",
    "MSG_STAT",
    "MSG_STAT_ANY",
    "SEMAEM",
    "SEMVMX",
    "SEM_INFO",
    "SEM_STAT",
    "SEM_STAT_ANY",
    "SEM_UNDO",
    "SETALL",
    "SETVAL",
    "SHMLBA",
    "SHM_DEST",
    "SHM_EXEC",
    "SHM_HUGETLB",
    "SHM_HUGE_1GB",
    "SHM_HUGE_2MB",
    "SHM_HUGE_MASK",
    "SHM_HUGE_SHIFT",
    "SHM_INFO",
    "SHM_LOCK",
    "SHM_LOCKED",
    "SHM_NORESERVE",
    "SHM_R",
    "SHM_RDONLY",
    "SHM_REMAP",
    "SHM_RND",
    "SHM_STAT",
    "SHM_STAT_ANY",
    "SHM_UNLOCK",
    "SHM_W",
    "IpcPerm",
    "Msginfo",
    "MsqidDs",
    "Sembuf",
    "SemidDs",
    "Seminfo",
    "ShmInfo",
    "ShmidDs",
    "Shminfo",
    "ftok",
    "ipc",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
]

# Constants

GETALL: Final = 13
GETNCNT: Final = 14
GETPID: Final = 11
GETVAL: Final = 12
GETZCNT: Final = 15
IPC_CREAT: Final = 512
IPC_EXCL: Final = 1024
IPC_INFO: Final = 3
IPC_NOWAIT: Final = 2048
IPC_PRIVATE: Final = 0
IPC_RMID: Final = 0
IPC_SET: Final = 1
IPC_STAT: Final = 2
MSG_COPY: Final = 16384
MSG_EXCEPT: Final = 8192
MSG_INFO: Final = 12
MSG_NOERROR: Final = 4096
MSG_STAT: Final = 11
MSG_STAT_ANY: Final = 13
SEMAEM: Final = 32767
SEMVMX: Final = 32767
SEM_INFO: Final = 19
SEM_STAT: Final = 18
SEM_STAT_ANY: Final = 20
SEM_UNDO: Final = 4096
SETALL: Final = 17
SETVAL: Final = 16
SHMLBA: Final[int]
SHM_DEST: Final = 512
SHM_EXEC: Final = 32768
SHM_HUGETLB: Final = 2048
SHM_HUGE_1GB: Final = 2013265920
SHM_HUGE_2MB: Final = 1409286144
SHM_HUGE_MASK: Final = 63
SHM_HUGE_SHIFT: Final = 26
SHM_INFO: Final = 14
SHM_LOCK: Final = 11
SHM_LOCKED: Final = 1024
SHM_NORESERVE: Final = 4096
SHM_R: Final = 256
SHM_RDONLY: Final = 4096
SHM_REMAP: Final = 16384
SHM_RND: Final = 8192
SHM_STAT: Final = 13
SHM_STAT_ANY: Final = 15
SHM_UNLOCK: Final = 12
SHM_W: Final = 128

# Structs

@final
class Sembuf:
    __match_args__: Final = ("sem_num", "sem_op", "sem_flg")
    def __new__(
        cls, sem_num: SupportsIndex, sem_op: SupportsIndex, sem_flg: SupportsIndex
    ) -> Self: ...
    @property
    def sem_num(self) -> int: ...
    @property
    def sem_op(self) -> int: ...
    @property
    def sem_flg(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, int]: ...
    def _replace(self, **changes: SupportsIndex) -> Self: ...
    def __replace__(self, **changes: SupportsIndex) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[int, ...]]: ...

@final
class IpcPerm:
    __match_args__: Final = ("key", "uid", "gid", "cuid", "cgid", "mode", "seq")
    def __new__(
        cls,
        key: SupportsIndex,
        uid: SupportsIndex,
        gid: SupportsIndex,
        cuid: SupportsIndex,
        cgid: SupportsIndex,
        mode: SupportsIndex,
        seq: SupportsIndex,
    ) -> Self: ...
    @property
    def key(self) -> int: ...
    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def cuid(self) -> int: ...
    @property
    def cgid(self) -> int: ...
    @property
    def mode(self) -> int: ...
    @property
    def seq(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, int]: ...
    def _replace(self, **changes: SupportsIndex) -> Self: ...
    def __replace__(self, **changes: SupportsIndex) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[int, ...]]: ...

@final
class SemidDs:
    __match_args__: Final = ("sem_perm", "sem_otime", "sem_ctime", "sem_nsems")
    def __new__(
        cls,
        sem_perm: IpcPerm,
        sem_otime: SupportsIndex,
        sem_ctime: SupportsIndex,
        sem_nsems: SupportsIndex,
    ) -> Self: ...
    @property
    def sem_perm(self) -> IpcPerm: ...
    @property
    def sem_otime(self) -> int: ...
    @property
    def sem_ctime(self) -> int: ...
    @property
    def sem_nsems(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, Any]: ...
    def _replace(self, **changes: Any) -> Self: ...
    def __replace__(self, **changes: Any) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]: ...

@final
class MsqidDs:
    __match_args__: Final = (
        "msg_perm",
        "msg_stime",
        "msg_rtime",
        "msg_ctime",
        "msg_cbytes",
        "msg_qnum",
        "msg_qbytes",
        "msg_lspid",
        "msg_lrpid",
    )
    def __new__(
        cls,
        msg_perm: IpcPerm,
        msg_stime: SupportsIndex,
        msg_rtime: SupportsIndex,
        msg_ctime: SupportsIndex,
        msg_cbytes: SupportsIndex,
        msg_qnum: SupportsIndex,
        msg_qbytes: SupportsIndex,
        msg_lspid: SupportsIndex,
        msg_lrpid: SupportsIndex,
    ) -> Self: ...
    @property
    def msg_perm(self) -> IpcPerm: ...
    @property
    def msg_stime(self) -> int: ...
    @property
    def msg_rtime(self) -> int: ...
    @property
    def msg_ctime(self) -> int: ...
    @property
    def msg_cbytes(self) -> int: ...
    @property
    def msg_qnum(self) -> int: ...
    @property
    def msg_qbytes(self) -> int: ...
    @property
    def msg_lspid(self) -> int: ...
    @property
    def msg_lrpid(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, Any]: ...
    def _replace(self, **changes: Any) -> Self: ...
    def __replace__(self, **changes: Any) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]: ...

@final
class ShmidDs:
    __match_args__: Final = (
        "shm_perm",
        "shm_segsz",
        "shm_atime",
        "shm_dtime",
        "shm_ctime",
        "shm_cpid",
        "shm_lpid",
        "shm_nattch",
    )
    def __new__(
        cls,
        shm_perm: IpcPerm,
        shm_segsz: SupportsIndex,
        shm_atime: SupportsIndex,
        shm_dtime: SupportsIndex,
        shm_ctime: SupportsIndex,
        shm_cpid: SupportsIndex,
        shm_lpid: SupportsIndex,
        shm_nattch: SupportsIndex,
    ) -> Self: ...
    @property
    def shm_perm(self) -> IpcPerm: ...
    @property
    def shm_segsz(self) -> int: ...
    @property
    def shm_atime(self) -> int: ...
    @property
    def shm_dtime(self) -> int: ...
    @property
    def shm_ctime(self) -> int: ...
    @property
    def shm_cpid(self) -> int: ...
    @property
    def shm_lpid(self) -> int: ...
    @property
    def shm_nattch(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, Any]: ...
    def _replace(self, **changes: Any) -> Self: ...
    def __replace__(self, **changes: Any) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]: ...

@final
class Seminfo:
    __match_args__: Final = (
        "semmap",
        "semmni",
        "semmns",
        "semmnu",
        "semmsl",
        "semopm",
        "semume",
        "semusz",
        "semvmx",
        "semaem",
    )
    def __new__(
        cls,
        semmap: SupportsIndex,
        semmni: SupportsIndex,
        semmns: SupportsIndex,
        semmnu: SupportsIndex,
        semmsl: SupportsIndex,
        semopm: SupportsIndex,
        semume: SupportsIndex,
        semusz: SupportsIndex,
        semvmx: SupportsIndex,
        semaem: SupportsIndex,
    ) -> Self: ...
    @property
    def semmap(self) -> int: ...
    @property
    def semmni(self) -> int: ...
    @property
    def semmns(self) -> int: ...
    @property
    def semmnu(self) -> int: ...
    @property
    def semmsl(self) -> int: ...
    @property
    def semopm(self) -> int: ...
    @property
    def semume(self) -> int: ...
    @property
    def semusz(self) -> int: ...
    @property
    def semvmx(self) -> int: ...
    @property
    def semaem(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, int]: ...
    def _replace(self, **changes: SupportsIndex) -> Self: ...
    def __replace__(self, **changes: SupportsIndex) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[int, ...]]: ...

@final
class Msginfo:
    __match_args__: Final = (
        "msgpool",
        "msgmap",
        "msgmax",
        "msgmnb",
        "msgmni",
        "msgssz",
        "msgtql",
        "msgseg",
    )
    def __new__(
        cls,
        msgpool: SupportsIndex,
        msgmap: SupportsIndex,
        msgmax: SupportsIndex,
        msgmnb: SupportsIndex,
        msgmni: SupportsIndex,
        msgssz: SupportsIndex,
        msgtql: SupportsIndex,
        msgseg: SupportsIndex,
    ) -> Self: ...
    @property
    def msgpool(self) -> int: ...
    @property
    def msgmap(self) -> int: ...
    @property
    def msgmax(self) -> int: ...
    @property
    def msgmnb(self) -> int: ...
    @property
    def msgmni(self) -> int: ...
    @property
    def msgssz(self) -> int: ...
    @property
    def msgtql(self) -> int: ...
    @property
    def msgseg(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, int]: ...
    def _replace(self, **changes: SupportsIndex) -> Self: ...
    def __replace__(self, **changes: SupportsIndex) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[int, ...]]: ...

@final
class Shminfo:
    __match_args__: Final = ("shmmax", "shmmin", "shmmni", "shmseg", "shmall")
    def __new__(
        cls,
        shmmax: SupportsIndex,
        shmmin: SupportsIndex,
        shmmni: SupportsIndex,
        shmseg: SupportsIndex,
        shmall: SupportsIndex,
    ) -> Self: ...
    @property
    def shmmax(self) -> int: ...
    @property
    def shmmin(self) -> int: ...
    @property
    def shmmni(self) -> int: ...
    @property
    def shmseg(self) -> int: ...
    @property
    def shmall(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, int]: ...
    def _replace(self, **changes: SupportsIndex) -> Self: ...
    def __replace__(self, **changes: SupportsIndex) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[int, ...]]: ...

@final
class ShmInfo:
    __match_args__: Final = (
        "used_ids",
        "shm_tot",
        "shm_rss",
        "shm_swp",
        "swap_attempts",
        "swap_successes",
    )
    def __new__(
        cls,
        used_ids: SupportsIndex,
        shm_tot: SupportsIndex,
        shm_rss: SupportsIndex,
        shm_swp: SupportsIndex,
        swap_attempts: SupportsIndex,
        swap_successes: SupportsIndex,
    ) -> Self: ...
    @property
    def used_ids(self) -> int: ...
    @property
    def shm_tot(self) -> int: ...
    @property
    def shm_rss(self) -> int: ...
    @property
    def shm_swp(self) -> int: ...
    @property
    def swap_attempts(self) -> int: ...
    @property
    def swap_successes(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def _asdict(self) -> dict[str, int]: ...
    def _replace(self, **changes: SupportsIndex) -> Self: ...
    def __replace__(self, **changes: SupportsIndex) -> Self: ...
    def __reduce__(self) -> tuple[type[Self], tuple[int, ...]]: ...

# Keys

def ftok(pathname: StrOrBytesPath, proj_id: SupportsIndex) -> int: ...

# Semaphores

def semget(key: SupportsIndex, nsems: SupportsIndex, semflg: SupportsIndex) -> int: ...
def semop(semid: SupportsIndex, sops: _Elements[_Operation]) -> None: ...
def semtimedop(semid: SupportsIndex, sops: _Elements[_Operation], timeout: _Timeout) -> None: ...
@overload  # GETPID GETVAL GETNCNT GETZCNT
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[11, 12, 14, 15], arg: object = None
) -> int: ...
@overload  # GETALL
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[13], arg: object = None
) -> list[int]: ...
@overload  # SETVAL
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[16], arg: SupportsIndex
) -> None: ...
@overload  # SETALL
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[17], arg: _Elements[SupportsIndex]
) -> None: ...
@overload  # IPC_STAT
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[2], arg: object = None
) -> SemidDs: ...
@overload  # SEM_STAT SEM_STAT_ANY
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[18, 20], arg: object = None
) -> tuple[int, SemidDs]: ...
@overload  # IPC_INFO SEM_INFO
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[3, 19], arg: object = None
) -> tuple[int, Seminfo]: ...
@overload  # IPC_SET
def semctl(semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[1], arg: SemidDs) -> None: ...
@overload  # IPC_RMID
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: Literal[0], arg: object = None
) -> None: ...
@overload
def semctl(
    semid: SupportsIndex, semnum: SupportsIndex, cmd: SupportsIndex, arg: object = None
) -> Any: ...

# Message queues

def msgget(key: SupportsIndex, msgflg: SupportsIndex) -> int: ...
def msgsnd(
    msqid: SupportsIndex, mtype: SupportsIndex, mtext: Buffer, msgflg: SupportsIndex = 0
) -> None: ...
def msgrcv(
    msqid: SupportsIndex,
    msgsz: SupportsIndex,
    msgtyp: SupportsIndex = 0,
    msgflg: SupportsIndex = 0,
) -> tuple[int, bytes]: ...
@overload  # IPC_STAT
def msgctl(msqid: SupportsIndex, cmd: Literal[2], buf: object = None) -> MsqidDs: ...
@overload  # MSG_STAT MSG_STAT_ANY
def msgctl(
    msqid: SupportsIndex, cmd: Literal[11, 13], buf: object = None
) -> tuple[int, MsqidDs]: ...
@overload  # IPC_INFO MSG_INFO
def msgctl(
    msqid: SupportsIndex, cmd: Literal[3, 12], buf: object = None
) -> tuple[int, Msginfo]: ...
@overload  # IPC_SET
def msgctl(msqid: SupportsIndex, cmd: Literal[1], buf: MsqidDs) -> None: ...
@overload  # IPC_RMID
def msgctl(msqid: SupportsIndex, cmd: Literal[0], buf: object = None) -> None: ...
@overload
def msgctl(msqid: SupportsIndex, cmd: SupportsIndex, buf: object = None) -> Any: ...

# Shared memory

def shmget(key: SupportsIndex, size: SupportsIndex, shmflg: SupportsIndex) -> int: ...
def shmat(shmid: SupportsIndex, shmaddr: _Address = 0, shmflg: SupportsIndex = 0) -> int: ...
def shmdt(shmaddr: _Address) -> None: ...
@overload  # IPC_STAT
def shmctl(shmid: SupportsIndex, cmd: Literal[2], buf: object = None) -> ShmidDs: ...
@overload  # SHM_STAT SHM_STAT_ANY
def shmctl(
    shmid: SupportsIndex, cmd: Literal[13, 15], buf: object = None
) -> tuple[int, ShmidDs]: ...
@overload  # IPC_INFO
def shmctl(shmid: SupportsIndex, cmd: Literal[3], buf: object = None) -> tuple[int, Shminfo]: ...
@overload  # SHM_INFO
def shmctl(shmid: SupportsIndex, cmd: Literal[14], buf: object = None) -> tuple[int, ShmInfo]: ...
@overload  # IPC_SET
def shmctl(shmid: SupportsIndex, cmd: Literal[1], buf: ShmidDs) -> None: ...
@overload  # IPC_RMID SHM_LOCK SHM_UNLOCK
def shmctl(shmid: SupportsIndex, cmd: Literal[0, 11, 12], buf: object = None) -> None: ...
@overload
def shmctl(shmid: SupportsIndex, cmd: SupportsIndex, buf: object = None) -> Any: ...

# All of them

def ipc(
    call: SupportsIndex,
    first: object,
    second: object,
    third: object,
    ptr: object,
    fifth: object,
) -> Any: ...
