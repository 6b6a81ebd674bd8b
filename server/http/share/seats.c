/*
 * seats.c: what each worker tells the others of itself, in memory that all of them share.
 *
 * The master maps a table before it forks. A worker takes a seat with its pid; the master frees it when it reaps the
 * worker, however that has ended. Workers of several generations sit at the same table, so a reload needs no other one.
 * The numbers are read while others change them: who reads them decides about one connection, and the next decision
 * corrects it.
 */
#include "http/share/seats.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log/log.h"

#define MAX_SEATS 256 /* a worker beyond shares nothing and is as good as alone */

static struct table {
    _Atomic unsigned used; /* no seat from this number on was ever taken */
    struct seat seats[MAX_SEATS];
} * table; /* NULL: there is none */

void seats_create(void)
{
    void *memory = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        log_warn("connections are not distributed evenly over the workers: no shared memory: %m");
    else
        table = memory;
}

/* Others may write to the table, which is no reason to leave it. */
static unsigned seats_used(void)
{
    unsigned used = atomic_load_explicit(&table->used, memory_order_relaxed);

    return used < MAX_SEATS ? used : MAX_SEATS;
}

void seats_vacate(pid_t pid)
{
    for (unsigned i = 0; table && i < seats_used(); i++)
        if (table->seats[i].pid == pid) {
            table->seats[i].kind = 0;
            table->seats[i].pid = 0;
        }
}

static void raise_used(unsigned used)
{
    unsigned before = table->used;

    while (before < used && !atomic_compare_exchange_weak(&table->used, &before, used))
        ;
}

struct seat *seat_take(void)
{
    for (unsigned i = 0; table && i < MAX_SEATS; i++) {
        struct seat *seat = &table->seats[i];
        pid_t none = 0;

        if (!atomic_compare_exchange_strong(&seat->pid, &none, getpid()))
            continue;
        seat->open = 0;
        seat->accepted = 0;
        seat->served = 0;
        seat->poked = 0;
        raise_used(i + 1);
        return seat;
    }
    return NULL;
}

struct seat *seat_next(const struct seat *mine, unsigned *at)
{
    unsigned used = seats_used();

    while (*at < used) {
        struct seat *seat = &table->seats[(*at)++];

        if (seat != mine && atomic_load_explicit(&seat->kind, memory_order_relaxed) == mine->kind)
            return seat;
    }
    return NULL;
}

unsigned seat_number(const struct seat *seat)
{
    return (unsigned)(seat - table->seats);
}

struct seat *seat_of(unsigned number)
{
    return table && number < MAX_SEATS ? &table->seats[number] : NULL;
}
