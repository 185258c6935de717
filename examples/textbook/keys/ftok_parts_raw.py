"""ftok(pathname, proj_id), by the C API: it makes no system call but stat().

Prints:
    key of / and 'G': 0xK
    the top byte is 'G': True
    a missing file: No such file or directory
    -1 is ftok's error in C, and a key like any other: an exception can't be mistaken for it
"""

from sysv_ipc_rs.raw import ftok

key = ftok("/", ord("G"))
print(f"key of / and 'G': {key:#x}")
print("the top byte is 'G':", key >> 24 == ord("G"))
try:
    ftok("/no/such/file", ord("G"))
except OSError as error:
    print(f"a missing file: {error.strerror}")
print("-1 is ftok's error in C, and a key like any other: an exception can't be mistaken for it")
