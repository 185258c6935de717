"""What other programs do with System V IPC: PHP's semaphores, NTP's clocks, PostgreSQL's interlock.

`PHPSemaphore` is PHP's `sem_get`, `sem_acquire` and `sem_release`. `NTPSharedMemory` hands samples
of a clock to chronyd, ntpd or gpsd's tools. `postgres_interlock` tells which segment guards a
PostgreSQL data directory, and who is attached to it.

C, Perl, util-linux, and PHP's queues and segments need none of this: they and the rest of the
package have the kernel's own semantics in common.
"""

from .._core import PHPSemaphore
from ._ntp import NTPSample, NTPSharedMemory
from ._postgres import PostgresInterlock, postgres_interlock

__all__ = [
    "NTPSample",
    "NTPSharedMemory",
    "PHPSemaphore",
    "PostgresInterlock",
    "postgres_interlock",
]
