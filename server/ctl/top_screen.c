/*
 * top_screen.c: what `syncless-ctl top` shows: the whole server, its workers, and the requests that run.
 *
 * A picture is put together in memory and written at once, so that it does not flicker. Lines are cut at the width of
 * the terminal; the workers have a third of its height at most, the requests have the rest. All text of the answers is
 * printable ASCII (json.c), so a byte is a column.
 */
#include "ctl/top_screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/ctl.h"
#include "ctl/top_terminal.h"

#define MAX_COLUMNS 500 /* of a line; a wider terminal has room to spare */
#define BOLD        "\033[1m"
#define REVERSE     "\033[7m"
#define PLAIN       ""

/* The picture. */
struct picture {
    char *buf; /* owned */
    size_t size, capacity;
    int row, rows, columns;
};

static const char *const sort_names[] = {[SORT_AGE] = "age", [SORT_CPU] = "cpu", [SORT_STATE] = "time in state"};

static void picture_add(struct picture *p, const char *text)
{
    size_t size = strlen(text);

    if (p->size + size > p->capacity) {
        p->capacity = 2 * p->capacity + size + 4096;
        p->buf = realloc(p->buf, p->capacity);
        if (!p->buf)
            ctl_fail(EX_OSERR, "out of memory");
    }
    memcpy(p->buf + p->size, text, size);
    p->size += size;
}

/* Add a line, if there is room for it. style is BOLD, REVERSE or PLAIN. */
__attribute__((format(printf, 3, 4))) static void picture_line(struct picture *p, const char *style, const char *fmt,
                                                               ...)
{
    char line[MAX_COLUMNS + 1];
    va_list ap;

    if (p->row >= p->rows)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (p->columns < MAX_COLUMNS)
        line[p->columns] = '\0';
    picture_add(p, p->row++ > 0 ? "\r\n" : "");
    picture_add(p, style);
    picture_add(p, line);
    picture_add(p, *style ? "\033[m\033[K" : "\033[K");
}

/* ---- units ---- */

#define SHORT 16 /* bytes of a short text */

/* "12.3 s", "4.5 ms"; "-" for a negative time. */
static const char *show_time(char text[SHORT], double seconds)
{
    if (seconds < 0)
        snprintf(text, SHORT, "-");
    else if (seconds < 1)
        snprintf(text, SHORT, "%.*f ms", seconds < 0.01 ? 2 : 1, seconds * 1000);
    else if (seconds < 100)
        snprintf(text, SHORT, "%.1f s", seconds);
    else if (seconds < 6000)
        snprintf(text, SHORT, "%d min", (int)(seconds / 60));
    else if (seconds < 360000)
        snprintf(text, SHORT, "%d h", (int)(seconds / 3600));
    else
        snprintf(text, SHORT, "%.0f d", seconds / 86400);
    return text;
}

static const char *show_us(char text[SHORT], const struct json *of, const char *name)
{
    return show_time(text, json_number(of, name) / 1e6);
}

/* ---- the server ---- */

static double sum_of_workers(const struct json *status, const char *name)
{
    const struct json *workers = json_member(status, "workers");
    double sum = 0;

    for (const struct json *w = workers ? workers->first : NULL; w; w = w->next)
        sum += json_number(w, name);
    return sum;
}

static void draw_times(struct picture *p, const struct top_figures *f)
{
    char line[MAX_COLUMNS] = "";
    size_t size = 0;

    for (size_t i = 0; i < f->kinds && size < sizeof(line); i++)
        if (f->spent[i] >= 0.005)
            size += (size_t)snprintf(line + size, sizeof(line) - size, "%s %.2f  ", f->kind_names[i], f->spent[i]);
    picture_line(p, PLAIN, "time      %s", *line ? line : "-");
}

static void draw_figures(struct picture *p, const struct top_view *view)
{
    const struct top_figures *f = view->figures;
    char p50[SHORT], p95[SHORT], p99[SHORT];

    if (!f->has_rates) {
        picture_line(p, PLAIN, "requests  ...");
        picture_line(p, PLAIN, "now       ...");
        picture_line(p, PLAIN, "time      ...");
        return;
    }
    picture_line(p, PLAIN, "requests  %.1f/s  p50 %s  p95 %s  p99 %s", f->requests_per_s, show_time(p50, f->p50),
                 show_time(p95, f->p95), show_time(p99, f->p99));
    picture_line(p, PLAIN, "now       %.0f run or wait, %.0f queue, %.0f connections, cpu %.2f cores",
                 sum_of_workers(view->status, "in_flight"), sum_of_workers(view->status, "queued"),
                 sum_of_workers(view->status, "connections"), f->cpu);
    draw_times(p, f);
}

static void draw_server(struct picture *p, const struct top_view *view)
{
    const struct json *master = json_member(view->status, "master");
    const char *failure = json_text(master, "reload_failure");
    char up[SHORT];

    if (*view->trouble)
        picture_line(p, REVERSE, "%s: asking again every second", view->trouble);
    if (!view->status)
        return;
    picture_line(p, BOLD, "syncless  master %.0f  %s  for %s%s   q quit  s sort  p pause", json_number(master, "pid"),
                 json_text(master, "state"), show_us(up, master, "uptime_us"), view->paused ? "  PAUSED" : "");
    if (*failure)
        picture_line(p, REVERSE, "the last reload failed: %s", failure);
    draw_figures(p, view);
}

/* ---- workers ---- */

static void draw_worker(struct picture *p, const struct json *w)
{
    const char *state = json_text(w, "state");
    bool is_stuck = !strcmp(state, "stuck");
    char up[SHORT];

    if (is_stuck)
        picture_line(p, REVERSE, "%6.0f %8.0f  %-9s %8s  %s", json_number(w, "number"), json_number(w, "pid"), state,
                     show_us(up, w, "uptime_us"), json_text(w, "stuck_in"));
    else
        picture_line(p, PLAIN, "%6.0f %8.0f  %-9s %8s %12.0f %9.0f %8.0f %11.0f", json_number(w, "number"),
                     json_number(w, "pid"), state, show_us(up, w, "uptime_us"), json_number(w, "requests"),
                     json_number(w, "in_flight"), json_number(w, "queued"), json_number(w, "connections"));
}

static void draw_workers(struct picture *p, const struct json *workers)
{
    int room = p->rows / 3;
    size_t left = 0;

    picture_line(p, PLAIN, "%s", "");
    picture_line(p, REVERSE, "%6s %8s  %-9s %8s %12s %9s %8s %11s", "WORKER", "PID", "STATE", "UP", "REQUESTS",
                 "IN FLIGHT", "QUEUED", "CONNECTIONS");
    for (const struct json *w = workers ? workers->first : NULL; w; w = w->next)
        if (room-- > 0)
            draw_worker(p, w);
        else
            left++;
    if (left > 0)
        picture_line(p, PLAIN, "       and %zu more", left);
}

/* ---- requests ---- */

static enum top_sort sorting;

static int compare_requests(const void *a, const void *b)
{
    static const char *const keys[] = {[SORT_AGE] = "age_us", [SORT_CPU] = "cpu_us", [SORT_STATE] = "state_us"};
    double x = json_number(*(const struct json *const *)a, keys[sorting]);
    double y = json_number(*(const struct json *const *)b, keys[sorting]);

    return x < y ? 1 : x > y ? -1 : 0;
}

/* Returns how many there are; list becomes the caller's. */
static size_t list_requests(const struct json *answer, const struct json ***list)
{
    const struct json *workers = json_member(answer, "workers");
    size_t count = 0, capacity = 0;

    *list = NULL;
    for (const struct json *w = workers ? workers->first : NULL; w; w = w->next) {
        const struct json *requests = json_member(w, "requests");

        for (const struct json *r = requests ? requests->first : NULL; r; r = r->next) {
            if (count == capacity) {
                capacity = 2 * capacity + 64;
                *list = realloc(*list, capacity * sizeof(**list));
                if (!*list)
                    ctl_fail(EX_OSERR, "out of memory");
            }
            (*list)[count++] = r;
        }
    }
    return count;
}

static void draw_request(struct picture *p, const struct json *r)
{
    const struct json *wait = json_member(r, "wait");
    char age[SHORT], cpu[SHORT], since[SHORT], does[120];

    snprintf(does, sizeof(does), "%s %s", wait ? json_text(wait, "kind") : json_text(r, "state"),
             wait ? json_text(wait, "of") : "");
    picture_line(p, PLAIN, "%9s %9s %9s  %-30s  %s %s  (%s)", show_us(age, r, "age_us"), show_us(cpu, r, "cpu_us"),
                 show_us(since, r, "state_us"), does, json_text(r, "method"), json_text(r, "target"),
                 json_text(r, "id"));
}

static void draw_requests(struct picture *p, const struct top_view *view)
{
    const struct json **list;
    size_t count = list_requests(view->requests, &list);

    sorting = view->sort;
    if (count > 0)
        qsort(list, count, sizeof(*list), compare_requests);
    picture_line(p, PLAIN, "%s", "");
    picture_line(p, REVERSE, "%9s %9s %9s  %-30s  REQUEST, BY %s", "AGE", "CPU", "FOR", "WAITS FOR, OR DOES",
                 sort_names[view->sort]);
    for (size_t i = 0; i < count && p->row < p->rows; i++)
        draw_request(p, list[i]);
    free(list);
}

bool top_screen_draw(const struct top_view *view)
{
    struct picture p = {.rows = view->rows, .columns = view->columns};
    bool done;

    picture_add(&p, "\033[H");
    draw_server(&p, view);
    if (view->status) {
        draw_workers(&p, json_member(view->status, "workers"));
        draw_requests(&p, view);
    }
    picture_add(&p, "\033[J");
    done = terminal_write(p.buf, p.size);
    free(p.buf);
    return done;
}
