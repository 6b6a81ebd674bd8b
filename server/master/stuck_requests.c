/*
 * stuck_requests.c: the requests of a worker that is stuck, as its signal handler has listed them.
 *
 * The lines are those of inside/running_raw.h. A worker runs code of anybody, so they may be anything; a line that is
 * none of these is left out. The oldest come first, as from workers that answer.
 */
#include "master/stuck_requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MAX_STUCK 2000 /* more lines do not fit in a message */

struct stuck_request {
    uint64_t number, age; /* age in microseconds */
    char state[8], kind[16];
    const char *method, *target; /* borrowed */
    size_t method_size, target_size;
};

/* Returns whether the line is one. */
static bool parse_stuck(struct stuck_request *r, const char *line, size_t size)
{
    unsigned long long number, age;
    int method = 0;

    if (sscanf(line, "%20llu %20llu %7s %15s %n", &number, &age, r->state, r->kind, &method) != 4 ||
        (size_t)method >= size)
        return false;
    r->number = number;
    r->age = age;
    r->method = line + method;
    r->method_size = strcspn(r->method, " \n");
    r->target = r->method + r->method_size + 1;
    if (r->target >= line + size)
        return false;
    r->target_size = size - (size_t)(r->target - line);
    return true;
}

static bool is_stuck_wanted(const struct question *q, const struct gathered *w, const struct stuck_request *r)
{
    if (q->number)
        return q->pid == w->pid && q->number == r->number;
    return (int64_t)(r->age * 1000) >= q->older;
}

static int compare_stuck(const void *a, const void *b)
{
    const struct stuck_request *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* Returns how many there are. */
static size_t find_stuck(const struct question *q, const struct gathered *w, struct stuck_request *list)
{
    size_t count = 0;

    for (const char *at = w->running; at && *at && count < MAX_STUCK;) {
        size_t size = strcspn(at, "\n");

        if (parse_stuck(&list[count], at, size) && is_stuck_wanted(q, w, &list[count]))
            count++;
        at += size + (at[size] == '\n');
    }
    qsort(list, count, sizeof(*list), compare_stuck);
    return q->limit && q->limit < count ? q->limit : count;
}

static void write_stuck_json(const struct gathered *w, const struct stuck_request *r, struct text *out)
{
    text_printf(out, "{\"id\":\"%d.%llu\",\"method\":", (int)w->pid, (unsigned long long)r->number);
    text_add_json(out, r->method, r->method_size);
    text_printf(out, ",\"target\":");
    text_add_json(out, r->target, r->target_size);
    text_printf(out, ",\"age_us\":%llu,\"state\":", (unsigned long long)r->age);
    text_add_json(out, r->state, strlen(r->state));
    if (!strcmp(r->state, "waits")) {
        text_printf(out, ",\"wait\":{\"kind\":");
        text_add_json(out, r->kind, strlen(r->kind));
        text_printf(out, ",\"of\":\"\"}");
    }
    text_printf(out, "}");
}

static void write_stuck_text(const struct gathered *w, const struct stuck_request *r, struct text *out)
{
    text_printf(out, "%d.%llu  worker %d  %llu.%03llu s  ", (int)w->pid, (unsigned long long)r->number, w->number,
                (unsigned long long)r->age / 1000000, (unsigned long long)r->age / 1000 % 1000);
    text_add_escaped(out, r->method, r->method_size);
    text_add(out, " ", 1);
    text_add_escaped(out, r->target, r->target_size);
    text_add(out, ": ", 2);
    text_add_escaped(out, r->state, strlen(r->state));
    if (!strcmp(r->state, "waits")) {
        text_add(out, " for ", 5);
        text_add_escaped(out, r->kind, strlen(r->kind));
    }
    text_add(out, "\n", 1);
}

bool stuck_requests_write(const struct question *q, const struct gathered *w, struct text *out)
{
    struct stuck_request *list = xmalloc(MAX_STUCK * sizeof(*list));
    size_t count = w->is_stuck ? find_stuck(q, w, list) : 0;

    for (size_t i = 0; i < count; i++) {
        if (q->json && i > 0)
            text_add(out, ",", 1);
        if (q->json)
            write_stuck_json(w, &list[i], out);
        else
            write_stuck_text(w, &list[i], out);
    }
    free(list);
    return count > 0;
}
