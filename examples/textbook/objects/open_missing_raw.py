"""msgget(20, 0666) without IPC_CREAT, by the C API: what perror() says.

Prints:
    msgget: No such file or directory
"""

from sysv_ipc_rs.raw import msgget

try:
    msgget(20, 0o666)
except FileNotFoundError as error:
    print(f"msgget: {error.strerror}")
