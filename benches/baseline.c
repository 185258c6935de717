/* The bare system calls, timed in C: what everything else is measured against.
 *
 * Each function does its work `n` times and gives the nanoseconds of all of them, below 0 if a
 * call failed. */

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

#define TEXT_MAX (1 << 20)

static struct {
    long type;
    char text[TEXT_MAX];
} packet = {1, {0}};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

#define TIMED(n, call)                                                                            \
    do {                                                                                          \
        double begin = now();                                                                     \
        for (long i = 0; i < (n); i++)                                                            \
            if (!(call))                                                                          \
                return -1;                                                                        \
        return now() - begin;                                                                     \
    } while (0)

double semop_pair(int id, int flags, long n)
{
    struct sembuf take = {0, -1, flags}, give = {0, 1, flags};
    TIMED(n, semop(id, &take, 1) == 0 && semop(id, &give, 1) == 0);
}

/* Several calls by turns: a `semop` each that is done, or refused with EAGAIN; without operations it
 * is GETVAL, with fewer than none it is sched_yield. */
struct row {
    struct sembuf *ops;
    long count;
    long refused;
};

static int do_row(int id, const struct row *row)
{
    if (row->count < 0)
        return sched_yield() == 0;
    if (!row->count)
        return semctl(id, 0, GETVAL) >= 0;
    int answer = semop(id, row->ops, row->count);
    return row->refused ? answer < 0 && errno == EAGAIN : answer == 0;
}

double semop_rows(int id, const struct row *rows, long count, long n)
{
    double begin = now();
    for (long i = 0; i < n; i++)
        for (long at = 0; at < count; at++)
            if (!do_row(id, &rows[at]))
                return -1;
    return now() - begin;
}

double semtimedop_pair(int id, long n)
{
    struct sembuf take = {0, -1, 0}, give = {0, 1, 0};
    struct timespec second = {1, 0};
    TIMED(n, semtimedop(id, &take, 1, &second) == 0 && semtimedop(id, &give, 1, &second) == 0);
}

#define OPS_MAX 500

/* +1, -1, +1, -1, ...: as many operations in one call. */
double semop_many(int id, long count, long n)
{
    struct sembuf ops[OPS_MAX];
    for (long i = 0; i < count; i++)
        ops[i] = (struct sembuf){0, i % 2 ? -1 : 1, 0};
    TIMED(n, semop(id, ops, count) == 0);
}

#define THREADS_MAX 64

struct share {
    int id;
    long index, pairs;
};

static void *pairs_of_one(void *given)
{
    struct share *share = given;
    struct sembuf take = {share->index, -1, 0}, give = {share->index, 1, 0};
    for (long i = 0; i < share->pairs; i++)
        if (semop(share->id, &take, 1) || semop(share->id, &give, 1))
            return share;
    return NULL;
}

/* `n` pairs by as many threads, each on a semaphore of its own. */
double semop_threads(int id, long threads, long n)
{
    pthread_t running[THREADS_MAX];
    struct share shares[THREADS_MAX];
    void *failed = NULL, *answer;
    double begin = now();
    for (long i = 0; i < threads; i++) {
        shares[i] = (struct share){id, i, n / threads};
        pthread_create(&running[i], NULL, pairs_of_one, &shares[i]);
    }
    for (long i = 0; i < threads; i++) {
        pthread_join(running[i], &answer);
        failed = answer ? answer : failed;
    }
    return failed ? -1 : now() - begin;
}

double semctl_getval(int id, long n)
{
    TIMED(n, semctl(id, 0, GETVAL) >= 0);
}

double semctl_getall(int id, long n)
{
    unsigned short values[1 << 16];
    TIMED(n, semctl(id, 0, GETALL, values) >= 0);
}

double semctl_stat(int id, long n)
{
    struct semid_ds ds;
    TIMED(n, semctl(id, 0, IPC_STAT, &ds) == 0);
}

double msgctl_stat(int id, long n)
{
    struct msqid_ds ds;
    TIMED(n, msgctl(id, IPC_STAT, &ds) == 0);
}

double shmctl_stat(int id, long n)
{
    struct shmid_ds ds;
    TIMED(n, shmctl(id, IPC_STAT, &ds) == 0);
}

double msgsnd_many(int id, long size, long n)
{
    TIMED(n, msgsnd(id, &packet, size, 0) == 0);
}

double msgrcv_many(int id, long size, long n)
{
    TIMED(n, msgrcv(id, &packet, size, 0, 0) == size);
}

double msgrcv_copy(int id, long size, long n)
{
    TIMED(n, msgrcv(id, &packet, size, 0, MSG_COPY | IPC_NOWAIT) == size);
}

double msg_pair(int id, long size, long n)
{
    TIMED(n, msgsnd(id, &packet, size, 0) == 0 && msgrcv(id, &packet, size, 0, 0) == size);
}

/* As a caller has to do whose text has no type in front of it, and which gets it back elsewhere. */
double msg_pair_copied(int id, long size, long n)
{
    static char sent[TEXT_MAX];
    static struct {
        long type;
        char text[TEXT_MAX];
    } received;
    TIMED(n, ({ memcpy(packet.text, sent, size); msgsnd(id, &packet, size, 0) == 0; })
                 && msgrcv(id, &received, size, 0, 0) == size);
}

/* A message of its own type, behind all that lie in the queue. */
double msg_pair_of_type(int id, long size, long type, long n)
{
    packet.type = type;
    double begin = now();
    for (long i = 0; i < n; i++)
        if (msgsnd(id, &packet, size, 0) || msgrcv(id, &packet, size, type, 0) != size)
            return -1;
    packet.type = 1;
    return now() - begin;
}

/* A message there and one back, through two queues. */
double msg_ping(int there, int back, long size, long n)
{
    TIMED(n, msgsnd(there, &packet, size, 0) == 0 && msgrcv(back, &packet, size, 0, 0) == size);
}

double msg_echo(int there, int back, long size, long n)
{
    TIMED(n, msgrcv(there, &packet, size, 0, 0) == size && msgsnd(back, &packet, size, 0) == 0);
}

double shmat_shmdt(int id, long n)
{
    void *start;
    TIMED(n, (start = shmat(id, 0, 0)) != (void *)-1 && shmdt(start) == 0);
}

/* The same by a caller that has to know how much it is. */
double shmat_stat_shmdt(int id, long n)
{
    struct shmid_ds ds;
    void *start;
    TIMED(n, (start = shmat(id, 0, 0)) != (void *)-1 && shmctl(id, IPC_STAT, &ds) == 0
                 && shmdt(start) == 0);
}

double copy(void *to, const void *from, long size, long n)
{
    TIMED(n, ({ memcpy(to, from, size); __asm__ volatile("" ::: "memory"); 1; }));
}

/* One walk over all semaphore sets, as a listing makes it. */
double semctl_walk(long n)
{
    struct seminfo info;
    struct semid_ds ds;
    double begin = now();
    for (long i = 0; i < n; i++) {
        int last = semctl(0, 0, SEM_INFO, &info);
        for (int index = 0; index <= last; index++)
            semctl(index, 0, SEM_STAT_ANY, &ds);
    }
    return now() - begin;
}

/* The same over all message queues. */
double msgctl_walk(long n)
{
    struct msginfo info;
    struct msqid_ds ds;
    double begin = now();
    for (long i = 0; i < n; i++) {
        int last = msgctl(0, MSG_INFO, (struct msqid_ds *)&info);
        for (int index = 0; index <= last; index++)
            msgctl(index, MSG_STAT_ANY, &ds);
    }
    return now() - begin;
}
