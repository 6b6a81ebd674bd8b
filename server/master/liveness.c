/*
 * liveness.c: find processes that hang: workers that do not answer, and starts that do not end.
 *
 * The master pings each worker, whose event loop answers. That costs requests nothing, and shows more than a sign of
 * life in shared memory would: a loop that turns but hears nothing, because the application has closed its descriptors,
 * does not answer either. A worker that does not answer within worker-timeout is asked where it is, by a signal that
 * its handler answers even in the middle of C code (worker/stack_report.c). One that does not answer this either,
 * because it is stopped, say, is inspected from outside. Then the log says all that is known in one line, with the
 * stacks.
 *
 * Innocent are: a worker under a debugger; everybody, if the master itself comes late; and of several workers that are
 * silent at the same time, as in a machine that swaps, all but one: the next one is looked at when that is replaced.
 *
 * A process that starts has no event loop yet. It has start-timeout to become ready, and the log says where it is after
 * 10 s and 60 s.
 */
#include "master/liveness.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "log/log.h"
#include "master/inspect.h"
#include "process/channel.h"
#include "process/notify.h"
#include "wait/wait.h"
#include "worker/stack_report.h"

#define SECOND          INT64_C(1000000000)
#define ANSWER_TIME     SECOND        /* for what a process is asked when it is late, and after a sleep of the master */
#define MIN_PING        (SECOND / 20) /* between two pings */
#define MAX_PING        SECOND
#define MAX_LATE        (SECOND / 4)       /* how late the master may be before it excuses everybody */
#define MAX_WHAT        200                /* bytes of a request line that the log shows */
#define STACK_HOLDS_GIL " holds the GIL\n" /* in the head of the stack of a thread, in reports of modules/wsgi */
#define REPAIR_TIME     (10 * SECOND)      /* beside the timeouts, to replace a worker */

static const int64_t tell_start[] = {10 * SECOND, 60 * SECOND}; /* lengths of a start of which the log tells */

static const struct life *suspect; /* the process that is asked why it is silent, or is being replaced; NULL: none */
static int64_t last_answer;        /* CLOCK_MONOTONIC nanoseconds; of any worker; 0: none yet */

void life_begin(struct life *life, const char *name, pid_t pid, const struct process_settings *settings)
{
    *life = (struct life){.pid = pid, .settings = settings, .started = wait_now()};
    snprintf(life->name, sizeof(life->name), "%s (pid %d)", name, (int)pid);
    if (!last_answer)
        last_answer = life->started;
}

void life_end(struct life *life)
{
    life->asked = LIFE_NOT_ASKED;
    if (suspect == life)
        suspect = NULL;
}

/* ---- messages ---- */

struct seconds {
    char text[24];
};

static struct seconds in_seconds(int64_t nanoseconds)
{
    struct seconds s;

    snprintf(s.text, sizeof(s.text), "%lld.%lld s", (long long)(nanoseconds / SECOND),
             (long long)(nanoseconds % SECOND / (SECOND / 10)));
    return s;
}

/* Write the place of the first Python frame in a text, as FILE:LINE in FUNCTION, behind what leads to it. Returns the
 * size; 0 if there is none. */
static size_t write_place(char *place, size_t size, const char *leading, const char *text)
{
    static const char begin[] = "  File \"", middle[] = "\", line ";
    const char *file = text ? strstr(text, begin) : NULL, *line;

    file = file ? file + strlen(begin) : NULL;
    line = file ? strstr(file, middle) : NULL;
    *place = '\0';
    if (!line)
        return 0;
    snprintf(place, size, "%s%.*s:%.*s", leading, (int)(line - file), file, (int)strcspn(line + strlen(middle), "\n"),
             line + strlen(middle));
    return strlen(place);
}

/* The place of the coroutine, and that of another thread for which it may have to wait. */
static void write_places(char *places, size_t size, const char *stacks)
{
    size_t n = write_place(places, size, ", at ", stacks);

    write_place(places + n, size - n, "; the GIL is held at ", strstr(stacks, STACK_HOLDS_GIL));
}

/* What is known of where a process is. */
struct whereabouts {
    char doing[768];    /* ": GET /, at /srv/app.py:12 in f", or a part of that; or why it does not say so */
    const char *stacks; /* begins with a line break, or is "" */
};

/* The process has not said where it is. */
static void find_whereabouts(struct whereabouts *w, const struct life *life)
{
    struct inspection found;
    const char *why = "it does not react to signals";

    inspect(life->pid, life->settings, &found);
    if (found.state == 'T')
        why = "it was stopped by a signal (SIGSTOP)";
    else if (found.state == 'D')
        why = "it waits for a disk or a file system";
    snprintf(w->doing, sizeof(w->doing), ": %s%s%s", why, *found.what ? ", in " : "", found.what);
    w->stacks = "";
}

/* text: of its report: the request, and stacks in the further lines; NULL: there is none. */
static void read_whereabouts(struct whereabouts *w, const struct life *life, const char *text)
{
    char place[512];
    int size;

    if (!text) {
        find_whereabouts(w, life);
        return;
    }
    size = (int)strcspn(text, "\n");
    w->stacks = text + size;
    write_places(place, sizeof(place), w->stacks);
    if (size > 0)
        snprintf(w->doing, sizeof(w->doing), ": %.*s%s", (int)min_int64(size, MAX_WHAT), text, place);
    else
        snprintf(w->doing, sizeof(w->doing), "%s", place);
}

/* Returns what happens to it. */
static const char *fate(const struct life *life)
{
    return life->replaceable ? "replacing it" : "killing it";
}

static void log_slow_start(struct life *life, const struct whereabouts *w, int64_t now)
{
    log_warn("%s has been starting for %s%s%s", life->name, in_seconds(now - life->started).text, w->doing, w->stacks);
}

static void log_start_is_over(struct life *life, const struct whereabouts *w)
{
    log_error("%s has not become ready within start-timeout, %s%s: killing it%s", life->name,
              in_seconds(life->settings->start_timeout * 1000000).text, w->doing, w->stacks);
}

static void log_silence(struct life *life, const struct whereabouts *w, int64_t now)
{
    log_error("%s is stuck, it has not answered for %s%s: %s%s", life->name, in_seconds(now - life->pinged).text,
              w->doing, fate(life), w->stacks);
}

/* ---- asking where it is ---- */

/* Whether a debugger has it. The log says so once. */
static bool is_traced(struct life *life)
{
    struct inspection found;

    inspect(life->pid, life->settings, &found);
    if (found.tracer && !life->traced)
        log_warn("%s does not answer, but is left alone: process %d is debugging it", life->name, (int)found.tracer);
    life->traced = found.tracer != 0;
    return life->traced;
}

static void life_ask(struct life *life, enum life_question question, int64_t now)
{
    life->asked = question;
    life->answer_due = now + ANSWER_TIME;
    if (stack_report_ask_process(life->pid) < 0)
        life->answer_due = now;
}

/* text: of its answer; NULL: it has not answered. */
static void life_conclude(struct life *life, const char *text)
{
    enum life_question asked = life->asked;
    int64_t now = wait_now();
    struct whereabouts w;

    life->asked = LIFE_NOT_ASKED;
    if (asked == LIFE_SILENT && !life->pinged) { /* it has answered meanwhile */
        suspect = NULL;
        return;
    }
    read_whereabouts(&w, life, text);
    if (asked == LIFE_SLOW_START) {
        log_slow_start(life, &w, now);
    } else if (asked == LIFE_START_OVER) {
        life->start_is_over = true;
        log_start_is_over(life, &w);
    } else if (asked == LIFE_SILENT) {
        life->stuck = true;
        log_silence(life, &w, now);
    }
}

/* Returns whether it has been asked and may still answer. Concludes without an answer if the time for it is over. */
static bool life_is_asked(struct life *life, int64_t now, int64_t *next)
{
    if (!life->asked)
        return false;
    if (now < life->answer_due)
        *next = min_int64(*next, life->answer_due);
    else
        life_conclude(life, NULL);
    return true;
}

void life_on_report(struct life *life, const char *text)
{
    if (life->asked)
        life_conclude(life, text);
}

/* ---- starts ---- */

/* Returns the length of its start of which the log tells next. */
static int64_t next_to_tell(const struct life *life)
{
    for (size_t i = 0; i < ARRAY_SIZE(tell_start); i++)
        if (tell_start[i] > life->told)
            return tell_start[i];
    return WAIT_FOREVER;
}

static void start_is_over(struct life *life, int64_t now)
{
    if (is_traced(life))
        life->started = now;
    else
        life_ask(life, LIFE_START_OVER, now);
}

void life_check_start(struct life *life, int64_t now, int64_t *next)
{
    int64_t timeout = life->settings->start_timeout ? life->settings->start_timeout * 1000000 : WAIT_FOREVER;
    int64_t length = now - life->started;

    if (life->start_is_over || life_is_asked(life, now, next))
        return;
    if (length >= timeout) {
        start_is_over(life, now);
    } else if (length >= next_to_tell(life)) {
        life->told = next_to_tell(life);
        life_ask(life, LIFE_SLOW_START, now);
    }
    if (life->asked)
        *next = min_int64(*next, life->answer_due);
    else if (min_int64(timeout, next_to_tell(life)) < WAIT_FOREVER)
        *next = min_int64(*next, life->started + min_int64(timeout, next_to_tell(life)));
}

/* ---- pings ---- */

/* Returns how many nanoseconds there are between two pings; 0: none are sent. */
static int64_t ping_interval(const struct life *life)
{
    int64_t timeout = life->settings->worker_timeout * 1000000, interval = timeout / 30;

    if (timeout)
        interval = max_int64(min_int64(interval, MAX_PING), MIN_PING);
    if (notify_watchdog())
        interval = interval ? min_int64(interval, notify_watchdog() / 6) : notify_watchdog() / 6;
    return interval;
}

/* The process has not answered for worker-timeout. */
static void life_suspect(struct life *life, int64_t now)
{
    if (suspect) /* one at a time */
        return;
    if (is_traced(life)) {
        life->pinged = now;
        return;
    }
    suspect = life;
    life_ask(life, LIFE_SILENT, now);
}

static void life_ping(struct life *life, int channel, int64_t now, int64_t interval)
{
    life->ping_due = now + interval;
    life->pinged = now;
    channel_send(channel, &(struct channel_message){CHANNEL_PING, 0, -1}); /* if it is full, it does not read */
}

void life_check_pulse(struct life *life, int channel, bool replaceable, int64_t now, int64_t *next)
{
    int64_t timeout = life->settings->worker_timeout * 1000000, interval = ping_interval(life);

    life->replaceable = replaceable;
    if (interval == 0 || life_is_asked(life, now, next))
        return;
    if (!life->pinged && now >= life->ping_due)
        life_ping(life, channel, now, interval);
    else if (life->pinged && timeout && now - life->pinged >= timeout && !life->stuck)
        life_suspect(life, now);
    if (life->asked)
        *next = min_int64(*next, life->answer_due);
    else if (!life->pinged)
        *next = min_int64(*next, life->ping_due);
    else if (timeout && !life->stuck)
        *next = min_int64(*next, max_int64(life->pinged + timeout, now + interval));
}

void life_on_answer(struct life *life)
{
    last_answer = wait_now();
    if (life->stuck)
        log_warn("%s answers again after %s, and is replaced all the same", life->name,
                 in_seconds(last_answer - life->pinged).text);
    life->pinged = 0;
    life->stuck = false;
    if (suspect == life && !life->asked)
        suspect = NULL;
}

void life_on_overdue(struct life *life, const char *text)
{
    struct whereabouts w;

    if (life->stuck || suspect || !life->settings->worker_timeout || is_traced(life))
        return;
    suspect = life;
    life->stuck = true;
    read_whereabouts(&w, life, text);
    log_error("%s is stuck%s: the request is past its request-timeout and cannot be cancelled: %s%s", life->name,
              w.doing, fate(life), w.stacks);
}

/* ---- all of them ---- */

int64_t liveness_late(int64_t now, int64_t next)
{
    return next && now - next > MAX_LATE ? now - next : 0;
}

/* The master may have slept for longer than it is late, so there is time to answer now in any case. */
void life_excuse(struct life *life, int64_t late, int64_t now)
{
    int64_t timeout = life->settings->worker_timeout * 1000000;

    life->started += late;
    if (life->pinged)
        life->pinged = min_int64(now, max_int64(life->pinged + late, now - timeout + ANSWER_TIME));
    if (life->asked)
        life->answer_due += late;
}

bool liveness_is_good(const struct process_settings *settings, int64_t now)
{
    int64_t repair = (settings->worker_timeout + settings->start_timeout) * 1000000 + REPAIR_TIME;

    if (!settings->worker_timeout)
        repair = notify_watchdog() / 2;
    else if (!settings->start_timeout)
        return true;
    return now - last_answer <= repair;
}
