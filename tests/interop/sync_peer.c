/* Takes part in what `sysv_ipc_rs.sync` makes, written from docs/sync.md alone.
 *
 *     sync_peer ID VERB [NUMBER]
 *
 * Says on standard output what it has. What it holds it gives back when a line comes on standard
 * input, or when it is killed. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#define U SEM_UNDO
#define N IPC_NOWAIT
#define COUNT(ops) (sizeof(ops) / sizeof(struct sembuf))

/* A step that waits, and one that never does: whether it was done, not refused with EAGAIN. */
#define WAIT(...) step((struct sembuf[]){__VA_ARGS__}, COUNT(((struct sembuf[]){__VA_ARGS__})), 0)
#define TRY(...) step((struct sembuf[]){__VA_ARGS__}, COUNT(((struct sembuf[]){__VA_ARGS__})), N)

static int id;

static int step(struct sembuf *ops, size_t count, short flags)
{
    for (size_t i = 0; i < count; i++)
        ops[i].sem_flg |= flags;
    while (semop(id, ops, count) != 0) {
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR) {
            printf("%s\n", strerror(errno));
            exit(1);
        }
    }
    return 1;
}

static short value(unsigned short index)
{
    int found = semctl(id, index, GETVAL);
    if (found < 0) {
        printf("%s\n", strerror(errno));
        exit(1);
    }
    return found;
}

static void say(const char *text)
{
    puts(text);
    fflush(stdout);
}

static void until_told(const char *text)
{
    say(text);
    if (getchar() == EOF)
        exit(2);
}

/* Lock, RLock and a Condition's own lock. */

enum { LOCK, DIRTY };

static int lock_take(void) /* whether the last owner died */
{
    for (;;) {
        if (WAIT({LOCK, -1, U}, {DIRTY, 0, N}, {DIRTY, 1, 0}))
            return 0;
        if (TRY({LOCK, -1, U}, {DIRTY, -1, 0}, {DIRTY, 1, 0}))
            return 1;
    }
}

static int lock_give(void)
{
    return TRY({DIRTY, -1, 0}, {LOCK, 1, U});
}

static void lock(void)
{
    until_told(lock_take() ? "taken, the owner died" : "taken");
    say(lock_give() ? "given" : "not held");
}

/* BoundedSemaphore */

enum { FREE, TAKEN };

static void token(void)
{
    WAIT({FREE, -1, U}, {TAKEN, 1, U});
    until_told("taken");
    say(TRY({TAKEN, -1, U}, {FREE, 1, U}) ? "given" : "not held");
}

/* Event */

enum { UNSET };

static void event_wait(void)
{
    WAIT({UNSET, 0, 0});
    say("set");
}

static void event_set(void)
{
    TRY({UNSET, -1, 0});
    say("done");
}

static void event_clear(void)
{
    TRY({UNSET, 0, 0}, {UNSET, 1, 0});
    say("done");
}

/* RWLock */

enum { GATE, READERS, WRITTEN };

static int read_take(void)
{
    for (;;) {
        if (WAIT({GATE, -1, 0}, {GATE, 1, 0}, {WRITTEN, 0, N}, {READERS, 1, U}))
            return 0;
        if (TRY({GATE, -1, 0}, {GATE, 1, 0}, {WRITTEN, -1, 0}, {READERS, 1, U}))
            return 1;
    }
}

static int write_take(void)
{
    if (TRY({GATE, -1, U}, {READERS, 0, 0}, {WRITTEN, 0, 0}, {WRITTEN, 1, 0}))
        return 0;
    WAIT({GATE, -1, U});
    for (;;) {
        if (WAIT({READERS, 0, 0}, {WRITTEN, 0, N}, {WRITTEN, 1, 0}))
            return 0;
        if (TRY({READERS, 0, 0}, {WRITTEN, -1, 0}, {WRITTEN, 1, 0}))
            return 1;
    }
}

static void reader(void)
{
    until_told(read_take() ? "taken, the owner died" : "taken");
    say(TRY({READERS, -1, U}) ? "given" : "not held");
}

static void writer(void)
{
    until_told(write_take() ? "taken, the owner died" : "taken");
    say(TRY({WRITTEN, -1, 0}, {GATE, 1, U}) ? "given" : "not held");
}

/* Condition */

enum { WAITING = 2, NOTICES, ERA };

static int settle(short left, short era)
{
    short next = era == 32767 ? 0 : era + 1;
    return TRY({NOTICES, -left, 0}, {ERA, -era, 0}, {ERA, 0, 0}, {ERA, next, 0});
}

static int condition_wait(void) /* by the lock's holder; whether the last owner died */
{
    short era, left;
    for (;;) {
        era = value(ERA);
        if (TRY({NOTICES, 0, 0}, {WAITING, 1, U}))
            break;
        while ((left = value(NOTICES)) && !settle(left, era))
            ;
    }
    lock_give();
    int woken = WAIT({ERA, -era, N}, {ERA, 0, N}, {ERA, era, 0}, {NOTICES, -1, U}, {WAITING, -1, U});
    int died = lock_take();
    if (woken)
        TRY({NOTICES, 1, U}, {NOTICES, -1, 0});
    else /* the era is over: notified between the two steps */
        TRY({WAITING, -1, U});
    return died;
}

static void condition_notify(short count) /* by the lock's holder */
{
    short waiting = value(WAITING), left;
    if (count > waiting)
        count = waiting;
    if (count == 0)
        return;
    TRY({NOTICES, count, 0});
    while ((left = value(NOTICES)) && !settle(left, value(ERA)))
        ;
}

static void wait_notified(void)
{
    lock_take();
    say("waiting");
    int died = condition_wait();
    until_told(died ? "notified, the owner died" : "notified");
    lock_give();
    say("given");
}

static void notify(short count)
{
    lock_take();
    condition_notify(count);
    lock_give();
    say("done");
}

/* Barrier */

enum { STATE, ARRIVED, ROOM, LEADER, SLOTS };

#define ARRIVE(slot) {ROOM, -1, U}, {ARRIVED, 1, U}, {SLOTS + slot, -1, U | N}
#define DEPART(slot) {ROOM, 1, U}, {ARRIVED, -1, U}, {SLOTS + slot, 1, U}

static int arrive(short parties) /* the slot, or -1: it is broken */
{
    short slot = value(ARRIVED);
    for (;; slot = (slot + 1) % parties) {
        if (slot >= parties)
            slot = parties - 1;
        if (WAIT({STATE, 0, N}, ARRIVE(slot)))
            return slot;
        if (WAIT({STATE, -1, N}, {STATE, 0, N}, {ARRIVED, 0, 0}, ARRIVE(slot)))
            return slot;
        if (WAIT({STATE, -3, N}, {ARRIVED, 0, 0}, ARRIVE(slot)))
            return slot;
        if (TRY({STATE, -2, 0}, {STATE, 0, 0}, {STATE, 2, 0}))
            return -1;
    }
}

static int pass(short slot) /* whether it opened */
{
    /* Who finds it full and no leader is the one that opens it. */
    if (TRY({STATE, 0, 0}, {ROOM, 0, 0}, {LEADER, -1, U})) {
        if (TRY({STATE, 0, 0}, {STATE, 1, 0}, {LEADER, 1, U}, DEPART(slot)))
            return 1;
        TRY({LEADER, 1, U}, DEPART(slot));
        return 0;
    }
    if (WAIT({STATE, -1, 0}, {STATE, 0, N}, {STATE, 1, 0}, DEPART(slot)))
        return 1;
    TRY(DEPART(slot));
    return 0;
}

static void party(short parties)
{
    short slot = arrive(parties);
    if (slot >= 0 && pass(slot))
        printf("passed as %d\n", slot);
    else
        say("broken");
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    id = atoi(argv[1]);
    const char *verb = argv[2];
    short number = argc > 3 ? atoi(argv[3]) : 1;
    const struct {
        const char *name;
        void (*function)(void);
        void (*with_number)(short);
    } verbs[] = {
        {"lock", lock, 0},
        {"token", token, 0},
        {"wait-event", event_wait, 0},
        {"set-event", event_set, 0},
        {"clear-event", event_clear, 0},
        {"read", reader, 0},
        {"write", writer, 0},
        {"wait-notified", wait_notified, 0},
        {"notify", 0, notify},
        {"barrier", 0, party},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verb, verbs[i].name) != 0)
            continue;
        if (verbs[i].function)
            verbs[i].function();
        else
            verbs[i].with_number(number);
        return 0;
    }
    return 2;
}
