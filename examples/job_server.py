"""A job server like make's, which survives the death of its clients.

    python examples/job_server.py start 4               # so many jobs at once
    python examples/job_server.py run COMMAND [ARG ...]  # waits for its turn, then is the command
    python examples/job_server.py status
    python examples/job_server.py stop

Works from anywhere, such as `make -j100 CC='python job_server.py run cc'` in several terminals.

make hands its tokens out through a pipe: a client that is killed takes its token with it, and
children inherit the pipe. Here the token belongs to the process that runs the command. It is kept
over the exec, the command's own children have no part in it, and the kernel gives it back when the
command ends, however it ends.
"""

from __future__ import annotations

import os
import sys

from sysv_ipc_rs import AlreadyExistsError, NotFoundError, key_from_name
from sysv_ipc_rs.sync import BoundedSemaphore

KEY = key_from_name(os.environ.get("JOB_SERVER", "example/job_server"))


def tokens() -> BoundedSemaphore:
    return BoundedSemaphore.open(KEY, owner=os.geteuid())


def main(verb: str = "", *arguments: str) -> int:
    match verb, *arguments:
        case "start", number:
            BoundedSemaphore.create(KEY, value=int(number))
        case "run", command, *_:
            tokens().acquire()
            os.execvp(command, arguments)
        case ("status",):
            print(f"{tokens().get_value()} tokens free")
        case ("stop",):
            tokens().remove()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (AlreadyExistsError, NotFoundError) as error:
        sys.exit(str(error))
