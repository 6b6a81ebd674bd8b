/*
 * holder.c: which descriptors are limited connections.
 *
 * A table by descriptor, of address space that takes memory only where it is used. The calls that close or copy a
 * descriptor look into it. Some closes are not seen: those inside of libc, and system calls made directly. Therefore
 * the inode of the socket is kept, by which one finds that a number is another socket's by now.
 */
#include "libc/outbound/holder.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <unistd.h>

#include "base/mem.h"
#include "base/real.h"
#include "libc/outbound/outbound.h"

#define MAX_FDS (1 << 20) /* descriptors beyond it are not limited; fs.nr_open's default */

static struct holder *_Atomic *holders; /* MAX_FDS of them, owned; NULL: none */
static atomic_int holders_end;          /* above the largest descriptor that was ever held */

static pid_t holders_pid; /* a child of vfork has another one, and closes only its own */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of users; by real(), never held over a park */

void holder_init(void)
{
    void *memory;

    holders_pid = getpid();
    if (holders)
        return;
    memory = mmap(NULL, MAX_FDS * sizeof(*holders), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    holders = memory == MAP_FAILED ? NULL : memory;
}

/* The inode of a descriptor; 0 if it is closed. */
static unsigned long inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

void holder_put(int fd, struct holder *holder)
{
    int end = atomic_load(&holders_end);

    atomic_store(&holders[fd], holder);
    while (end <= fd && !atomic_compare_exchange_weak(&holders_end, &end, fd + 1))
        ;
}

bool holder_add(int fd, struct outbound *o)
{
    struct holder *holder;

    if (!holders || fd >= MAX_FDS)
        return false;
    holder = xmalloc(sizeof(*holder));
    *holder = (struct holder){o, inode_of(fd), 1};
    holder_put(fd, holder);
    return true;
}

static bool is_stale(int fd, const struct holder *holder)
{
    return inode_of(fd) != holder->inode;
}

bool holder_has(int fd, const struct outbound *o)
{
    struct holder *holder = holders && fd >= 0 && fd < MAX_FDS ? atomic_load(&holders[fd]) : NULL;

    if (!holder)
        return false;
    if (!is_stale(fd, holder) && holder->outbound == o)
        return true;
    holder_drop(holder_take(fd));
    return false;
}

void holder_share(int fd, int copy)
{
    struct holder *holder = holders && fd >= 0 && fd < MAX_FDS ? atomic_load(&holders[fd]) : NULL;

    if (!holder || copy >= MAX_FDS)
        return;
    real()->pthread_mutex_lock(&lock);
    holder->users++;
    real()->pthread_mutex_unlock(&lock);
    holder_put(copy, holder);
}

struct holder *holder_take(int fd)
{
    if (fd < 0 || fd >= atomic_load(&holders_end) || !atomic_load_explicit(&holders[fd], memory_order_relaxed) ||
        getpid() != holders_pid)
        return NULL;
    return atomic_exchange(&holders[fd], NULL);
}

void holder_drop(struct holder *holder)
{
    bool last;

    if (!holder)
        return;
    real()->pthread_mutex_lock(&lock);
    last = --holder->users == 0;
    real()->pthread_mutex_unlock(&lock);
    if (!last)
        return;
    outbound_end(holder->outbound);
    free(holder);
}

void holder_sweep(void)
{
    for (int fd = 0; fd < atomic_load(&holders_end); fd++) {
        struct holder *holder = atomic_load(&holders[fd]);

        if (holder && is_stale(fd, holder))
            holder_drop(holder_take(fd));
    }
}
