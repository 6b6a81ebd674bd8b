/*
 * metrics_table.c: what the server counts, in memory that the master and all workers share.
 *
 * A worker counts in a slot of its own, so that no two processes write to one cache line. When it ends the slot is free
 * again, but what it says stays, and the next worker goes on from there: whoever adds up all slots gets sums that never
 * go back, and nobody has to fold anything at a time when others look. Only the master adds up. It believes nothing in
 * the table but numbers, since workers run code of applications.
 *
 * The memory is a file without a name, which a new binary (SIGUSR2) inherits. Both masters and their workers then count
 * in it. If the new binary has another layout of it, it begins anew.
 */
#include "metrics/metrics_table.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <signal.h>
#include <unistd.h>

#include "log/log.h"

#define MAX_METRICS_SLOTS 512 /* a worker beyond is not counted */
#define NAME_SIZE         128 /* bytes of a mount's name, with the NUL */
#define LAYOUT            1   /* grows with each change of struct metrics_table that does not change its size */

#define SENT_SIZE (64 * 1024) /* bytes for metrics_sent */

struct metrics_name {
    _Atomic uint64_t hash; /* of text; 0: free */
    char text[NAME_SIZE];
};

static struct metrics_table {
    uint64_t layout;
    int64_t since;         /* CLOCK_BOOTTIME ns */
    _Atomic unsigned used; /* no slot from this number on was ever taken */
    struct metrics_master master;
    struct metrics_name names[METRICS_MOUNTS];
    _Alignas(16) char sent[SENT_SIZE];
    struct metrics_slot slots[MAX_METRICS_SLOTS];
} * table; /* NULL: there is none */

static int table_fd = -1; /* in the master */

/* ---- the table ---- */

/* Returns whether the memory is a table, of this layout. */
static bool map_table(int fd)
{
    void *memory = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

    if (memory == MAP_FAILED)
        return false;
    table = memory;
    table_fd = fd;
    return true;
}

/* Take over the table of the binary before. Returns whether this one understands it. */
static bool take_table(int fd)
{
    struct stat st;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && st.st_size == sizeof(*table) && map_table(fd) && table->layout == LAYOUT)
        return true;
    if (table)
        munmap(table, sizeof(*table));
    table = NULL;
    table_fd = -1;
    close(fd);
    return false;
}

static int64_t boot_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void metrics_create(int fd)
{
    if (take_table(fd))
        return;
    fd = memfd_create("metrics", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(*table)) < 0 || !map_table(fd)) {
        log_warn("nothing is counted: no shared memory: %m");
        if (fd >= 0)
            close(fd);
        return;
    }
    table->since = boot_time();
    table->layout = LAYOUT;
}

int metrics_file(void)
{
    return table_fd;
}

void metrics_close_file(void)
{
    if (table_fd >= 0)
        close(table_fd);
    table_fd = -1;
}

int64_t metrics_since(void)
{
    return table ? table->since : boot_time();
}

struct metrics_master *metrics_of_master(void)
{
    return table ? &table->master : NULL;
}

void *metrics_sent(size_t size)
{
    return table && size <= sizeof(table->sent) ? table->sent : NULL;
}

/* ---- names ---- */

static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return hash ? hash : 1;
}

/* Two masters may do so at a time. Whoever finds the hash of a name has the place, and writes the same text. */
void metrics_add_mount(const char *name)
{
    uint64_t hash = hash_name(name);

    for (unsigned i = 1; table && i < METRICS_MOUNTS; i++) {
        struct metrics_name *place = &table->names[i];
        uint64_t found = 0;

        if (!atomic_compare_exchange_strong(&place->hash, &found, hash) && found != hash)
            continue;
        if (!*place->text)
            strncpy(place->text, name, sizeof(place->text) - 1);
        return;
    }
}

unsigned metrics_mount(const char *name)
{
    uint64_t hash = hash_name(name);

    for (unsigned i = 1; table && i < METRICS_MOUNTS; i++)
        if (table->names[i].hash == hash)
            return i;
    return 0;
}

const char *metrics_mount_name(unsigned number)
{
    static char name[NAME_SIZE];

    if (!table || number >= METRICS_MOUNTS)
        return "";
    memcpy(name, table->names[number].text, sizeof(name) - 1);
    return name;
}

/* ---- slots ---- */

static unsigned slots_used(void)
{
    unsigned used = table ? atomic_load_explicit(&table->used, memory_order_relaxed) : 0;

    return used < MAX_METRICS_SLOTS ? used : MAX_METRICS_SLOTS;
}

static void raise_slots_used(unsigned used)
{
    unsigned before = table->used;

    while (before < used && !atomic_compare_exchange_weak(&table->used, &before, used))
        ;
}

struct metrics_slot *metrics_slot_take(void)
{
    for (unsigned i = 0; table && i < MAX_METRICS_SLOTS; i++) {
        struct metrics_slot *slot = &table->slots[i];
        pid_t none = 0;

        if (!atomic_compare_exchange_strong(&slot->pid, &none, getpid()))
            continue;
        raise_slots_used(i + 1);
        return slot;
    }
    return NULL;
}

static void empty_gauges(struct metrics_slot *slot)
{
    metrics_set(&slot->gauges.in_flight, 0);
    metrics_set(&slot->gauges.queued, 0);
    metrics_set(&slot->gauges.connections, 0);
    metrics_set(&slot->gauges.coroutines, 0);
    metrics_set(&slot->gauges.stacks, 0);
    metrics_set(&slot->gauges.resident, 0);
}

void metrics_vacate(pid_t pid)
{
    for (unsigned i = 0; i < slots_used(); i++)
        if (table->slots[i].pid == pid) {
            empty_gauges(&table->slots[i]);
            table->slots[i].pid = 0;
        }
}

struct metrics_slot *metrics_slot_next(unsigned *at)
{
    return *at < slots_used() ? &table->slots[(*at)++] : NULL;
}
