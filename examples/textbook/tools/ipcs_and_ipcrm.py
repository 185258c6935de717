"""A session with `ipcmk`, `ipcs` and `ipcrm`, and ours beside them: `sysv-ipc mk`, `ls`, `rm`.

`ipcrm` and `sysv-ipc rm` take the same switches: small letters for ids, capitals for keys. `ipcrm`
asks nobody and removes what others use; a queue's waiters get EIDRM, a segment stays until all
have detached.

Prints:
    $ ipcmk -Q -p 600
    Message queue id: ID
    $ ipcs -q
    key        msqid   owner   perms  used-bytes  messages
    0xKEY      ID      OWNER   600    0           0
    $ ipcrm -q ID
    $ ipcrm -q ID
    ipcrm: invalid id (ID)
    status 1

    $ sysv-ipc mk queue --mode 600 --key 20
    ID2
    $ sysv-ipc ls -q
    key         msqid  owner  perms  used-bytes  messages
    0x00000014  ID2    OWNER  600    0           0
    $ sysv-ipc rm -Q 20
    removed message queue ID2 (key 0x00000014, owner OWNER)
    $ sysv-ipc rm -Q 20
    sysv-ipc rm: msgget of the message queue with key 0x00000014: no message queue has this key
    status 1
"""

import subprocess
import sys


def run(command: str, only: str = "") -> str:
    """Shows a command and what it says: of a listing, the heading and what has `only` in it."""
    print(f"$ {command}")
    words = command.split()
    if words[0] == "sysv-ipc":
        words[:1] = [sys.executable, "-m", "sysv_ipc_rs"]
    ended = subprocess.run(words, stdout=-1, stderr=-2, text=True, check=False)
    for line in ended.stdout.splitlines():
        if not only or line.startswith("key") or only in line.split():
            print(line.rstrip())
    if ended.returncode:
        print("status", ended.returncode)
    return ended.stdout.split()[-1] if ended.stdout.split() else ""


msqid = run("ipcmk -Q -p 600")
run("ipcs -q", msqid)
if "leave" not in sys.argv:
    run(f"ipcrm -q {msqid}")
    run(f"ipcrm -q {msqid}")

print()
msqid = run("sysv-ipc mk queue --mode 600 --key 20")
run("sysv-ipc ls -q", msqid)
if "leave" not in sys.argv:
    run("sysv-ipc rm -Q 20")
    run("sysv-ipc rm -Q 20")
