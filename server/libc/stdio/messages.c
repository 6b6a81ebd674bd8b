/*
 * messages.c: perror, psignal, and the families of err.h and error.h, which write to stderr inside libc.
 *
 * Where stderr may be full, the message is made in memory and printed by our fprintf. psiginfo, whose texts libc keeps
 * to itself, is called on a thread.
 */
#include <err.h>
#include <errno.h>
#include <error.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/real.h"
#include "libc/runtime/park.h"
#include "libc/stdio/stream.h"

static bool message_may_wait(void)
{
    return stream_may_wait_any(stderr, false);
}

/* The text of a message, to be freed. NULL without a format, or without memory. */
static char *message_text(const char *format, va_list ap)
{
    char *text;

    return format && vasprintf(&text, format, ap) >= 0 ? text : NULL;
}

/* ---- with a text ---- */

static void message_put(const char *text, const char *what)
{
    fprintf(stderr, "%s%s%s\n", text && *text ? text : "", text && *text ? ": " : "", what);
}

void perror(const char *text)
{
    char space[128];
    int err = errno;

    if (message_may_wait())
        message_put(text, strerror_r(err, space, sizeof(space)));
    else
        real()->perror(text);
}

void psignal(int signum, const char *text)
{
    if (message_may_wait())
        message_put(text, strsignal(signum));
    else
        real()->psignal(signum, text);
}

struct siginfo_message {
    const siginfo_t *info;
    const char *text;
};

static int siginfo_message_run(void *arg)
{
    const struct siginfo_message *m = arg;

    real()->psiginfo(m->info, m->text);
    return 0;
}

void psiginfo(const siginfo_t *info, const char *text)
{
    struct siginfo_message m = {info, text};

    if (message_may_wait())
        wait_offload(siginfo_message_run, &m);
    else
        siginfo_message_run(&m);
}

/* ---- err.h ---- */

void vwarnx(const char *format, va_list ap)
{
    char *text;

    if (!message_may_wait()) {
        real()->vwarnx(format, ap);
        return;
    }
    text = message_text(format, ap);
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, text ? text : "");
    free(text);
}

void vwarn(const char *format, va_list ap)
{
    char *text, space[128];
    int err = errno;

    if (!message_may_wait()) {
        real()->vwarn(format, ap);
        return;
    }
    text = message_text(format, ap);
    fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, text ? text : "", text ? ": " : "",
            strerror_r(err, space, sizeof(space)));
    free(text);
}

void warn(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vwarn(format, ap);
    va_end(ap);
}

void warnx(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vwarnx(format, ap);
    va_end(ap);
}

void verr(int status, const char *format, va_list ap)
{
    vwarn(format, ap);
    exit(status);
}

void verrx(int status, const char *format, va_list ap)
{
    vwarnx(format, ap);
    exit(status);
}

void err(int status, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    verr(status, format, ap);
}

void errx(int status, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    verrx(status, format, ap);
}

/* ---- error.h ---- */

/* The end of a message: the text, the error, if it is not 0, and the program's end, if status is not 0. */
static void error_end(int status, int number, const char *text)
{
    char space[128];

    error_message_count++;
    fprintf(stderr, "%s%s%s\n", text, number ? ": " : "", number ? strerror_r(number, space, sizeof(space)) : "");
    fflush(stderr);
    if (status)
        exit(status);
}

/* Whether error_at_line is to be silent, since the line has had its message. */
static bool error_is_repeated(const char *file, unsigned line)
{
    static const char *last_file;
    static unsigned last_line;
    bool same = line == last_line && (file == last_file || (file && last_file && !strcmp(file, last_file)));

    last_file = file;
    last_line = line;
    return error_one_per_line && same;
}

void error(int status, int number, const char *format, ...)
{
    char *text;
    va_list ap;

    va_start(ap, format);
    text = message_text(format, ap);
    va_end(ap);
    if (message_may_wait()) {
        fflush(stdout);
        if (error_print_progname)
            error_print_progname();
        else
            fprintf(stderr, "%s: ", program_invocation_name);
        error_end(status, number, text ? text : format);
    } else {
        real()->error(status, number, "%s", text ? text : format);
    }
    free(text);
}

void error_at_line(int status, int number, const char *file, unsigned line, const char *format, ...)
{
    char *text;
    va_list ap;

    va_start(ap, format);
    text = message_text(format, ap);
    va_end(ap);
    if (!message_may_wait()) {
        real()->error_at_line(status, number, file, line, "%s", text ? text : format);
    } else if (!error_is_repeated(file, line)) {
        fflush(stdout);
        if (error_print_progname)
            error_print_progname();
        else
            fprintf(stderr, "%s:", program_invocation_name);
        if (file)
            fprintf(stderr, "%s:%u: ", file, line);
        else
            fprintf(stderr, " ");
        error_end(status, number, text ? text : format);
    }
    free(text);
}
