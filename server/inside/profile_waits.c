/*
 * profile_waits.c: samples of the coroutines that do not run, for a profile.
 *
 * As long as a coroutine waits its stack does not change. So that is read once for each wait which is there when a
 * sample is taken, and to a sample of thousands of long waits only their times are added. When there are many new ones
 * at once, reading them is spread over several samples, from any one on; those that were read stand for the others.
 */
#include "inside/profile_waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "inside/parked_stack.h"
#include "inside/profile_stacks.h"
#include "wait/reason.h"
#include "wait/wait.h"

#define MAX_READING INT64_C(1000000) /* nanoseconds in which stacks are read, for one sample */

enum sample_state { SAMPLE_WAITS, SAMPLE_READY, SAMPLE_AWAY };

/* A coroutine as it was last seen. */
struct seen {
    const struct coro *co; /* NULL: the place is free */
    uint64_t id;
    int64_t left; /* these three say whether it is still the same wait */
    enum sample_state state;
    enum wait_kind kind;
    struct profile_stack *stack; /* borrowed; NULL: not read yet */
    int64_t pending;             /* nanoseconds until it is */
};

static struct seen *seen_table; /* owned, or NULL */
static size_t seen_capacity;    /* a power of two, or 0 */
static size_t seen_count;

void profile_waits_clear(void)
{
    free(seen_table);
    seen_table = NULL;
    seen_capacity = seen_count = 0;
}

static void seen_reserve(size_t count)
{
    size_t capacity = 256;

    if (2 * count <= seen_capacity && 2 * seen_count <= seen_capacity)
        return;
    while (capacity < 4 * count)
        capacity *= 2;
    profile_waits_settle();
    profile_waits_clear(); /* those that have ended too */
    seen_table = xcalloc(capacity, sizeof(*seen_table));
    seen_capacity = capacity;
}

static struct seen *seen_find(const struct coro *co)
{
    size_t at = (size_t)((uintptr_t)co >> 12) * 2654435761U & (seen_capacity - 1);

    while (seen_table[at].co && seen_table[at].co != co)
        at = (at + 1) & (seen_capacity - 1);
    if (!seen_table[at].co) {
        seen_table[at].co = co;
        seen_count++;
    }
    return &seen_table[at];
}

static enum sample_state sample_state_of(const struct coro *co)
{
    return co->away ? SAMPLE_AWAY : co->parked ? SAMPLE_WAITS : SAMPLE_READY;
}

#define KIND_SIZE 64

static void write_kind(char name[KIND_SIZE], enum sample_state state, enum wait_kind kind)
{
    snprintf(name, KIND_SIZE, "%s%s",
             state == SAMPLE_AWAY    ? "on CPU, another thread"
             : state == SAMPLE_READY ? "ready"
                                     : "waits: ",
             state == SAMPLE_WAITS ? reason_kind_name(kind) : "");
}

/* Whom it waits for is told of peers only: there are few of them. */
static struct profile_stack *read_stack(const struct coro *co, const struct seen *seen)
{
    char of[REASON_TEXT_SIZE] = "", name[KIND_SIZE];
    enum wait_kind kind = seen->state == SAMPLE_WAITS ? reason_of_park(co, of, sizeof(of)) : FOR_OTHER;
    struct text dump = {0};
    struct profile_stack *stack;

    if (kind != FOR_SOCKET && kind != FOR_DNS)
        *of = '\0';
    write_kind(name, seen->state, kind);
    parked_stack_write(co, &dump, "\n");
    stack = profile_stack_find(name, dump.buf, dump.size, *of ? of : NULL);
    free(dump.buf);
    return stack;
}

/* The wait is over, or somebody wants to know: it was not read. */
static void settle_unread(struct seen *seen)
{
    char name[KIND_SIZE];

    if (!seen->pending)
        return;
    write_kind(name, seen->state, seen->kind);
    profile_stack_add(profile_stack_unread(name), seen->pending);
    seen->pending = 0;
}

void profile_waits_settle(void)
{
    for (size_t i = 0; i < seen_capacity; i++)
        settle_unread(&seen_table[i]);
}

static void sample_one(const struct coro *co, int64_t nanoseconds, bool may_read)
{
    struct seen *seen = seen_find(co);
    enum sample_state state = sample_state_of(co);

    if (seen->id != co->id || seen->left != co->left || seen->state != state) {
        settle_unread(seen);
        *seen = (struct seen){.co = co, .id = co->id, .left = co->left, .state = state, .kind = co->reason.kind};
    }
    seen->pending += nanoseconds;
    if (!seen->stack && may_read)
        seen->stack = read_stack(co, seen);
    if (!seen->stack)
        return;
    profile_stack_add(seen->stack, seen->pending);
    seen->pending = 0;
}

/* Not random(), whose numbers are the application's. */
static uint32_t any_number(void)
{
    static uint32_t state = 1;

    state = state * 1103515245 + 12345;
    return state >> 8;
}

void profile_waits_sample(int64_t nanoseconds, bool (*wanted)(const struct coro *co))
{
    int64_t end = wait_now() + MAX_READING;
    size_t first = any_number() % (coro_count() + 1), at = 0; /* the first that may be read */
    struct list *node;

    seen_reserve(coro_count());
    list_for_each (node, coro_all()) {
        const struct coro *co = list_entry(node, struct coro, all);

        if (wanted(co))
            sample_one(co, nanoseconds, at++ >= first && wait_now() < end);
    }
}
