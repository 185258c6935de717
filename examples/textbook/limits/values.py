"""The limits: their values, the files that set them, and what each really limits.

Prints:
    SEMMSL N: semaphores in one set (/proc/sys/kernel/sem)
    SEMMNS N: semaphores in all sets together (/proc/sys/kernel/sem)
    SEMOPM N: operations in one call (/proc/sys/kernel/sem)
    SEMMNI N: sets (/proc/sys/kernel/sem)
    MSGMNI N: queues (/proc/sys/kernel/msgmni)
    MSGMAX N: bytes in one message (/proc/sys/kernel/msgmax)
    MSGMNB N: bytes in one queue, and messages, of queues made from now on (/proc/sys/kernel/msgmnb)
    SHMALL N: pages, not bytes, in all segments together (/proc/sys/kernel/shmall)
    SHMMAX N: bytes in one segment (/proc/sys/kernel/shmmax)
    SHMMIN 1: bytes that a segment has at least (fixed)
    SHMMNI N: segments (/proc/sys/kernel/shmmni)
"""

from sysv_ipc_rs.system import limit_source, limits

MEANING = {
    "semmsl": "semaphores in one set",
    "semmns": "semaphores in all sets together",
    "semopm": "operations in one call",
    "semmni": "sets",
    "msgmni": "queues",
    "msgmax": "bytes in one message",
    "msgmnb": "bytes in one queue, and messages, of queues made from now on",
    "shmall": "pages, not bytes, in all segments together",
    "shmmax": "bytes in one segment",
    "shmmin": "bytes that a segment has at least",
    "shmmni": "segments",
}

values = limits()
for name, meaning in MEANING.items():
    value = getattr(values, name)
    print(f"{name.upper()} {value}: {meaning} ({limit_source(name) or 'fixed'})")
