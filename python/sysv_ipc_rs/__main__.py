"""`python -m sysv_ipc_rs` is `sysv-ipc`."""

import sys

from .cli import main

sys.exit(main())
