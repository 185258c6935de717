"""`python -m sysv_ipc_rs` is `sysv-ipc`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
