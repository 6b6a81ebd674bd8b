/*
 * stack_report.c: say what the OS thread of the event loop is doing, in a signal handler.
 *
 * The handler runs on top of the code that blocks the loop; it names the request and has the language runtime dump the
 * stack. No other thread could do that without the runtime's lock, which the blocking code may hold. The runtime reads
 * data that may be half written, so a fault there ends the dump and not the process (fault_try).
 *
 * The watchdog and operators get a line in the log. The master, which asks when a worker does not answer, gets the
 * report over the channel: it writes one line about the worker, with all it knows. It does not send the signal to a
 * process that was forked just now and has no handler yet: the master has one too, which the child inherits.
 */
#include "worker/stack_report.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "base/real.h"
#include "coro/coro.h"
#include "coro/fault.h"
#include "inside/profile.h"
#include "inside/running_raw.h"
#include "log/log.h"
#include "log/sink.h"
#include "process/channel.h"
#include "wait/wait.h"
#include "worker/worker_answer.h"

#define MAX_DUMP     16384                /* bytes of the dump that goes to the log */
#define MUST_END_FOR INT64_C(10000000000) /* nanoseconds that a request which must end may block the loop */

static struct {
    pthread_t thread;          /* that of the event loop */
    int channel;               /* to the master; -1: none */
    int dump_fd;               /* a file in memory, for stack dumps */
    char head[LOG_HEAD + 160]; /* of the line; made by the watchdog, since a handler must not read the time zone */
    atomic_bool head_ready;
    _Atomic int64_t since;    /* what stack_report_ask was given */
    atomic_bool told_overdue; /* CHANNEL_OVERDUE was sent for this value of since */
    char text[CHANNEL_TEXT];  /* the report, made by the handler */
} report = {.channel = -1, .dump_fd = -1};

/* ---- in the handler: the text ---- */

static char *append_text(char *at, const char *s)
{
    while (*s && at < report.text + sizeof(report.text) - 2)
        *at++ = *s++;
    return at;
}

static void dump_coroutine(void *arg)
{
    coro_dump_stack(arg, report.dump_fd);
}

static void dump_threads(void *arg)
{
    coro_dump_threads(report.dump_fd);
}

/* Have fn(arg) dump a stack, and append it: the part that fits, each line after what begins it. */
static char *append_dump(char *at, void (*fn)(void *arg), void *arg, const char *begin)
{
    static char dump[MAX_DUMP];
    bool begins = true;
    ssize_t size;

    if (ftruncate(report.dump_fd, 0) < 0 || lseek(report.dump_fd, 0, SEEK_SET) < 0)
        return at;
    if (!fault_try(fn, arg))
        at = append_text(append_text(at, begin), "(the stack cannot be read)");
    size = pread(report.dump_fd, dump, sizeof(dump) - 1, 0);
    for (ssize_t i = 0; i < size; i++) {
        char c[] = {dump[i], '\0'};

        if (begins)
            at = append_text(at, begin);
        begins = dump[i] == '\n';
        if (!begins)
            at = append_text(at, c);
    }
    return at;
}

/* ---- in the handler: where it goes ---- */

/* Write without waiting: a full pipe gets nothing, and the disk of a file may be slow. */
static void write_line(size_t size)
{
    int fd = sink_fd(log_sink());

    if (!sink_try_write(log_sink(), report.text, size) && sink_is_writable(fd, 0))
        real()->syscall(SYS_write, fd, report.text, size);
}

static void log_report(struct coro *co)
{
    char *at = report.text;

    at = append_text(at, atomic_exchange(&report.head_ready, false) ? report.head : "stack dump by signal");
    at = append_text(at, !co ? ", outside of a request" : co->what ? ": " : ", in a coroutine without a request");
    if (co && co->what)
        at = append_text(at, co->what);
    if (co)
        at = append_dump(at, dump_coroutine, co, "\n  ");
    *at++ = '\n';
    write_line((size_t)(at - report.text));
}

/* Send the master a text whose first line says what is being done, and the others where: the stack of the coroutine,
 * then those of other threads, which may hold what it waits for. */
static void send_report(enum channel_kind kind, struct coro *co)
{
    char *at = report.text;

    at = append_text(at, !co ? "" : co->what ? co->what : "a coroutine without a request");
    if (co)
        at = append_dump(at, dump_coroutine, co, "\n");
    at = append_dump(at, dump_threads, NULL, "\n");
    *at = '\0';
    channel_send_text(report.channel, kind, report.text); /* if it fails, the master does without */
}

static void write_running(void *running)
{
    running_write_raw(report.text, sizeof(report.text), running);
}

/* Send the master a list of all requests. */
static void send_running(struct coro *co)
{
    *report.text = '\0';
    if (fault_try(write_running, co))
        channel_send_text(report.channel, CHANNEL_RUNNING, report.text);
}

/* The loop has been blocked for watchdog-timeout or longer by this coroutine, or by something else if it is NULL. */
static void look(struct coro *co)
{
    if (!co || !coro_blocks(co) || atomic_load(&report.told_overdue) ||
        wait_now() - atomic_load(&report.since) < MUST_END_FOR)
        return;
    atomic_store(&report.told_overdue, true);
    send_report(CHANNEL_OVERDUE, co);
}

static void on_stack_signal(int signum, siginfo_t *info, void *context)
{
    int question = info->si_code == SI_QUEUE ? info->si_value.sival_int : 0, saved = errno;
    struct coro_interrupted interrupted = coro_interrupt(); /* calls of libc go straight to it here */
    struct coro *co = interrupted.current;

    if (question == STACK_SAMPLE) {
        profile_on_signal(co);
    } else if (question == STACK_TELL) {
        send_report(CHANNEL_REPORT, co);
        send_running(co);
    } else if (question == STACK_LOG || (question != STACK_LOOK && (co || !answer_signal_has_come()))) {
        log_report(co);
    }
    if (question == 0 && co)
        answer_signal_has_come();
    if (question == STACK_LOOK || question == STACK_LOG)
        look(co);
    coro_continue(interrupted);
    errno = saved;
}

/* ---- asking ---- */

/* Compose the head of the line, which the handler completes. */
static void prepare_head(int64_t since)
{
    int64_t blocked = (wait_now() - since) / 1000000;
    int size = (int)log_head(report.head, LOG_LEVEL_WARN);

    snprintf(report.head + size, sizeof(report.head) - (size_t)size, "event loop blocked for %lld.%lld s",
             (long long)(blocked / 1000), (long long)(blocked % 1000 / 100));
    atomic_store(&report.head_ready, true);
}

void stack_report_ask(enum stack_question question, int64_t since)
{
    if (atomic_exchange(&report.since, since) != since)
        atomic_store(&report.told_overdue, false);
    if (question == STACK_LOG)
        prepare_head(since);
    real()->pthread_sigqueue(report.thread, STACK_SIGNAL, (union sigval){.sival_int = question});
}

void stack_report_sample(void)
{
    real()->pthread_sigqueue(report.thread, STACK_SIGNAL, (union sigval){.sival_int = STACK_SAMPLE});
}

int stack_report_ask_process(pid_t pid)
{
    siginfo_t info = {.si_signo = STACK_SIGNAL, .si_code = SI_QUEUE};

    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = STACK_TELL;
    return real()->syscall(SYS_rt_tgsigqueueinfo, pid, pid, STACK_SIGNAL, &info) < 0 ? -errno : 0;
}

void stack_report_init(int channel)
{
    struct sigaction action = {.sa_sigaction = on_stack_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

    report.thread = pthread_self();
    report.channel = channel;
    if (report.dump_fd >= 0) {
        own_fd_end(report.dump_fd);
        close(report.dump_fd);
    }
    report.dump_fd = memfd_create("stack-dump", MFD_CLOEXEC);
    if (report.dump_fd < 0)
        log_warn("reports of the watchdog have no stack dump: cannot create a file in memory: %m");
    own_fd(report.dump_fd);
    own_signal(STACK_SIGNAL, &action);
}
