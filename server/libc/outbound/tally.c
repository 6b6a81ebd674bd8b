/*
 * tally.c: how many connections each worker has to one peer.
 *
 * Each worker has a cell of its own, and the number of connections is the sum over the cells. So what a killed worker
 * had is given back by clearing its cell, wherever it was when it died: there is no lock that it could hold, and no
 * number that it could have changed by half. To take one, a worker adds it first and then looks at the sum: of two that
 * do so at once at least one sees the other. Both may give up and try again, but there are never too many.
 *
 * Nobody is told when another worker gives one back: those that wait look again after a few milliseconds (outbound.c).
 * A worker hands its own ones on at once. So that another one does not starve meanwhile, it lets go first who waits
 * there for longer by OLDER, if that worker still looks.
 */
#include "libc/outbound/tally.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wait/wait.h"

#define MAX_CELLS 2048               /* 1024 workers, and as many that end after a reload */
#define OLDER     INT64_C(100000000) /* nanoseconds */
#define LOOKS     INT64_C(50000000)  /* nanoseconds; a worker that has not looked for so long is busy or stopped */

struct tally_cell {
    atomic_int pid; /* 0: free */
    atomic_uint open;
    _Atomic int64_t since;  /* ns, the beginning of the longest wait; 0: nobody waits */
    _Atomic int64_t looked; /* ns */
};

struct tally {
    atomic_uint used; /* cells, the first ones */
    atomic_uint most;
    atomic_ullong opened, waited, given_up;
    _Atomic int64_t waited_for;
    struct tally_cell cells[MAX_CELLS];
};

struct tally *tally_new(void)
{
    void *memory =
        mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

int tally_join(struct tally *tally)
{
    for (int i = 0; i < MAX_CELLS; i++) {
        int free_cell = 0;
        unsigned used;

        if (!atomic_compare_exchange_strong(&tally->cells[i].pid, &free_cell, getpid()))
            continue;
        used = atomic_load(&tally->used);
        while (used < (unsigned)i + 1 && !atomic_compare_exchange_weak(&tally->used, &used, (unsigned)i + 1))
            ;
        return i;
    }
    return -1;
}

/* Others may write to the table, which is no reason to leave it. */
static unsigned tally_used(const struct tally *tally)
{
    unsigned used = atomic_load(&tally->used);

    return used < MAX_CELLS ? used : MAX_CELLS;
}

void tally_drop(struct tally *tally, pid_t pid)
{
    for (unsigned i = 0; i < tally_used(tally); i++) {
        struct tally_cell *cell = &tally->cells[i];

        if (atomic_load(&cell->pid) != pid)
            continue;
        atomic_store(&cell->open, 0);
        atomic_store(&cell->since, 0);
        atomic_store(&cell->pid, 0);
    }
}

static uint32_t tally_open(const struct tally *tally)
{
    uint32_t open = 0;

    for (unsigned i = 0; i < tally_used(tally); i++)
        open += atomic_load(&tally->cells[i].open);
    return open;
}

bool tally_take(struct tally *tally, int cell, uint32_t max)
{
    uint32_t open, most;

    atomic_fetch_add(&tally->cells[cell].open, 1);
    open = tally_open(tally);
    if (max && open > max) {
        tally_give(tally, cell);
        return false;
    }
    most = atomic_load(&tally->most);
    while (most < open && !atomic_compare_exchange_weak(&tally->most, &most, open))
        ;
    atomic_fetch_add(&tally->opened, 1);
    return true;
}

void tally_give(struct tally *tally, int cell)
{
    atomic_fetch_sub(&tally->cells[cell].open, 1);
}

void tally_wait(struct tally *tally, int cell, int64_t since)
{
    atomic_store(&tally->cells[cell].looked, wait_now());
    atomic_store(&tally->cells[cell].since, since);
}

bool tally_has_older(const struct tally *tally, int cell, int64_t since)
{
    int64_t now = wait_now();

    for (unsigned i = 0; i < tally_used(tally); i++) {
        const struct tally_cell *other = &tally->cells[i];
        int64_t begun = atomic_load(&other->since);

        if ((int)i != cell && begun && begun < since - OLDER && now - atomic_load(&other->looked) < LOOKS)
            return true;
    }
    return false;
}

void tally_count_wait(struct tally *tally, int64_t nanoseconds, bool given_up)
{
    atomic_fetch_add(&tally->waited, 1);
    atomic_fetch_add(&tally->waited_for, nanoseconds);
    atomic_fetch_add(&tally->given_up, given_up);
}

void tally_counts(const struct tally *tally, struct tally_counts *counts)
{
    *counts = (struct tally_counts){
        .open = tally_open(tally),
        .most = atomic_load(&tally->most),
        .opened = atomic_load(&tally->opened),
        .waited = atomic_load(&tally->waited),
        .waited_for = atomic_load(&tally->waited_for),
        .given_up = atomic_load(&tally->given_up),
    };
}
