"""The classic's mistake: msgsnd() of a struct that holds a `char *` sends the pointer.

It seems to work as long as one process sends and receives: there the pointer still leads to the
text.

Prints:
    8 bytes came, and not the text
    an array in the struct: some words
"""

import ctypes
import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_PRIVATE, IPC_RMID, msgctl, msgget, msgrcv, msgsnd


class Pointer(ctypes.Structure):
    """struct { char *mtext; }"""

    _fields_ = (("mtext", ctypes.c_char_p),)


class Array(ctypes.Structure):
    """struct { char mtext[16]; }"""

    _fields_ = (("mtext", ctypes.c_char * 16),)


msqid = msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
try:
    msgsnd(msqid, 1, Pointer(b"some words"))
    mtext = msgrcv(msqid, 16)[1]
    print(f"{len(mtext)} bytes came, and", "the text" if b"words" in mtext else "not the text")
    msgsnd(msqid, 1, Array(b"some words"))
    mtext = msgrcv(msqid, 16)[1]
    print("an array in the struct:", mtext.rstrip(b"\0").decode())
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
