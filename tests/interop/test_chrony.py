"""chronyd takes our samples for its source; ntpshmmon and a C writer see the same segment."""

import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from chrony import chronyd, only_ours
from programs import Peer, program
from sysv_ipc_rs.interop import NTPSample, NTPSharedMemory

UNIT = 2
OFFSET = 1_234_567
REFCLOCK = f"refclock SHM {UNIT} refid TEST poll -2 dpoll -4 filter 4"


@pytest.fixture(autouse=True)
def unit() -> Iterator[None]:
    with only_ours(UNIT):
        yield


@pytest.fixture
def memory() -> Iterator[NTPSharedMemory]:
    with NTPSharedMemory.open_or_create(UNIT) as made:
        yield made


def feed(memory: NTPSharedMemory) -> None:
    """A sample, if the last one was read."""
    if memory.peek() is None:
        now = time.time_ns()
        memory.write(now + OFFSET, now, precision=-20)


@pytest.mark.parametrize("first", ["we", "chronyd"])
def test_chronyd_selects_our_clock(first: str) -> None:
    if first == "we":
        NTPSharedMemory.open_or_create(UNIT).close()
    with chronyd(REFCLOCK) as (folder, sources):
        support.wait_for(there, "the segment")
        with NTPSharedMemory.open(UNIT) as memory:

            def selected() -> bool:
                feed(memory)
                return "#,*,TEST," in sources()

            support.wait_for(selected, "our clock is its source")
        log = (folder / "refclocks.log").read_text().splitlines()
    rows = [row for row in map(str.split, log) if row[2:3] == ["TEST"]]
    assert {row[6] for row in rows} - {"-"} == {f"{OFFSET / 10**9:.6e}"}


def there() -> bool:
    with suppress(ipc.NotFoundError):
        NTPSharedMemory.open(UNIT).close()
        return True
    return False


def test_ntpshmmon_shows_our_samples(memory: NTPSharedMemory) -> None:
    sample = (1_700_000_000_123_456_789, 1_700_000_000_987_654_321)
    memory.write(*sample, leap=1, precision=-20)
    with Peer(program("ntpshmmon"), "-n", "1") as monitor:
        lines = [monitor.line() for _ in range(3)]
    clock, receive = (f"{ns // 10**9}.{ns % 10**9:09}" for ns in sample)
    name, unit, _, *found = lines[-1].split()
    assert (name, unit, *found) == ("sample", "NTP2", receive, clock, "1", "-20")
    assert memory.peek() == NTPSample(*sample, 1, -20)


SHM_TIME = r"""
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
#include <time.h>

struct shmTime {
    int mode;
    volatile int count;
    time_t clockTimeStampSec;
    int clockTimeStampUSec;
    time_t receiveTimeStampSec;
    int receiveTimeStampUSec;
    int leap;
    int precision;
    int nsamples;
    volatile int valid;
    unsigned clockTimeStampNSec;
    unsigned receiveTimeStampNSec;
    int dummy[8];
};

/* Creates the segment as ntpd does. For each line: "r" shows the fields, "w" writes a sample. */
int main(void)
{
    int id = shmget(0x4e545030 + 2, sizeof(struct shmTime), IPC_CREAT | 0666);
    struct shmTime *shm = shmat(id, NULL, 0);
    char line[10];
    printf("%zu %zu %zu\n", sizeof *shm, offsetof(struct shmTime, valid),
           offsetof(struct shmTime, receiveTimeStampNSec));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == 'w') {
            shm->mode = 1;
            shm->valid = 0;
            shm->count++;
            __sync_synchronize();
            shm->clockTimeStampSec = 1700000000;
            shm->clockTimeStampUSec = 123456;
            shm->clockTimeStampNSec = line[1] == 'n' ? 123456789 : 0;
            shm->receiveTimeStampSec = 5000000000;
            shm->receiveTimeStampUSec = 999999;
            shm->receiveTimeStampNSec = line[1] == 'n' ? 999999001 : 0;
            shm->leap = 2;
            shm->precision = -10;
            __sync_synchronize();
            shm->count++;
            shm->valid = 1;
        }
        printf("%d %d %lld %d %u %lld %d %u %d %d %d\n", shm->mode, shm->count,
               (long long)shm->clockTimeStampSec, shm->clockTimeStampUSec, shm->clockTimeStampNSec,
               (long long)shm->receiveTimeStampSec, shm->receiveTimeStampUSec,
               shm->receiveTimeStampNSec, shm->leap, shm->precision, shm->valid);
        fflush(stdout);
    }
    return 0;
}
"""


def fields(peer: Peer, line: str) -> list[int]:
    peer.send(line)
    return [int(word) for word in peer.line().split()]


def test_the_struct_is_that_of_c_byte_for_byte(tmp_path: Path) -> None:
    with Peer(support.compiled(tmp_path, SHM_TIME)) as c:
        size = 96 if struct.calcsize("P") == 8 else 80
        assert c.line().split()[0] == str(size)
        with NTPSharedMemory.open_or_create(UNIT) as memory:
            assert memory.segment.size == size
            assert memory.read() is None
            fields(c, "wn")
            wanted = NTPSample(1_700_000_000_123_456_789, 5_000_000_000_999_999_001, 2, -10)
            assert memory.peek() == wanted
            assert memory.read() == wanted
            assert memory.read() is None
            assert fields(c, "r")[-1] == 0
            fields(c, "w")
            assert memory.read() == NTPSample(
                1_700_000_000_123_456_000, 5_000_000_000_999_999_000, 2, -10
            )
            memory.write(6_000_000_000_000_000_001, 7_000_000_000_987_654_321, leap=3)
            seen = [1, 6, 6_000_000_000, 0, 1, 7_000_000_000, 987_654, 987_654_321, 3, -1, 1]
            assert fields(c, "r") == seen
