/*
 * profile_command.c: syncless-ctl profile: make a profile of all workers, and write it to a file.
 *
 * Each second the server is asked what it has sampled since the last time; the first question begins the profile. So
 * workers need little memory, one that is started meanwhile takes part, one that ends loses a second at most, and
 * Ctrl-C ends the profile with what there is. If this program is killed, the workers stop by themselves.
 */
#include "ctl/profile_command.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/profile_formats.h"

#define MAX_SECONDS 3600
#define MAX_RATE    1000
#define MAX_PREFIX  200
#define ASK_EVERY   1.0 /* seconds */
#define SILENCE     30  /* seconds without a byte of an answer */

static const struct format {
    const char *name, *extension;
    void (*write)(FILE *out, const struct profile_node *root);
} formats[] = {
    {"svg", ".svg", profile_write_svg},
    {"collapsed", ".txt", profile_write_collapsed},
    {"speedscope", ".json", profile_write_speedscope},
    {"perfetto", NULL, profile_write_perfetto},
};

static struct {
    const char *socket;
    double seconds;
    long rate;
    const char *output, *prefix; /* or NULL */
    const struct format *format;
    unsigned long id;
} options = {.seconds = 10, .rate = 100};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signum)
{
    interrupted = 1;
}

/* ---- the command line ---- */

static const struct format *format_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (!strcmp(formats[i].name, name))
            return &formats[i];
    ctl_fail(EX_USAGE, "there is no format \"%s\": expected svg, collapsed, speedscope or perfetto", name);
}

/* As the name of the file says. */
static const struct format *format_by_file(const char *path)
{
    const char *dot = path ? strrchr(path, '.') : NULL;

    for (size_t i = 0; dot && i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].extension && !strcmp(formats[i].extension, dot))
            return &formats[i];
    return format_by_name("collapsed");
}

static void read_seconds(const char *text)
{
    char *end;

    options.seconds = strtod(text, &end);
    if (end == text || (*end && strcmp(end, "s")) || !(options.seconds >= 0.1 && options.seconds <= MAX_SECONDS))
        ctl_fail(EX_USAGE, "-s %s: expected 0.1 to %d seconds", text, MAX_SECONDS);
}

static void read_rate(const char *text)
{
    char *end;

    options.rate = strtol(text, &end, 10);
    if (end == text || *end || options.rate < 1 || options.rate > MAX_RATE)
        ctl_fail(EX_USAGE, "--rate %s: expected 1 to %d samples per second", text, MAX_RATE);
}

static void read_prefix(const char *text)
{
    if (*text != '/' || strlen(text) > MAX_PREFIX || strpbrk(text, " \r\n"))
        ctl_fail(EX_USAGE, "--url %s: expected the beginning of a path, such as /shop/, of at most %d bytes", text,
                 MAX_PREFIX);
    options.prefix = text;
}

static void read_profile_options(int argc, char **argv)
{
    static const struct option names[] = {{"format", required_argument, NULL, 'f'},
                                          {"url", required_argument, NULL, 'u'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    int option;

    optind = 0; /* begin anew */
    while ((option = getopt_long(argc, argv, "s:o:", names, NULL)) >= 0)
        switch (option) {
        case 's':
            read_seconds(optarg);
            break;
        case 'o':
            options.output = optarg;
            break;
        case 'f':
            options.format = format_by_name(optarg);
            break;
        case 'u':
            read_prefix(optarg);
            break;
        case 'r':
            read_rate(optarg);
            break;
        default:
            exit(EX_USAGE);
        }
    if (optind < argc)
        ctl_fail(EX_USAGE, "profile: unexpected argument %s: see syncless-ctl -h", argv[optind]);
    if (!options.format)
        options.format = format_by_file(options.output);
}

/* ---- asking ---- */

/* Add a line of the answer. */
static void profile_take_line(struct profile_node *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (!strcmp(line, "busy"))
        ctl_fail(EX_TEMPFAIL, "somebody else makes a profile of this server now: try again later");
    if (profile_tree_add(root, line) < 0)
        ctl_fail(EX_PROTOCOL, "the server has sent what is no part of a profile: %.100s", line);
}

static void profile_ask(struct profile_node *root, long rate)
{
    const struct timeval silence = {.tv_sec = SILENCE};
    int fd = connect_server(options.socket), code;
    char question[MAX_PREFIX + 100], *line = NULL;
    FILE *in = fdopen(fd, "r");
    size_t capacity = 0;

    if (!in)
        ctl_fail(EX_OSERR, "cannot read: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    snprintf(question, sizeof(question), "profile %lu %ld %s", options.id, rate, options.prefix ? options.prefix : "");
    send_line(fd, question);
    code = ctl_read_code(in);
    while (getline(&line, &capacity, in) > 0) {
        if (code)
            ctl_fail(code, "%.*s", (int)strcspn(line, "\n"), line);
        profile_take_line(root, line);
    }
    if (ferror(in))
        ctl_fail(EX_UNAVAILABLE, "the answer breaks off: %s", strerror(errno));
    free(line);
    fclose(in);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void pause_for(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    if (seconds > 0)
        nanosleep(&time, NULL); /* a signal ends it */
}

/* Returns how many seconds it has taken. */
static double profile_gather(struct profile_node *root)
{
    double began = seconds_now(), end = began + options.seconds, now;

    profile_ask(root, options.rate);
    while (!interrupted && (now = seconds_now()) < end) {
        pause_for(end - now < ASK_EVERY ? end - now : ASK_EVERY);
        if (!interrupted && seconds_now() < end)
            profile_ask(root, options.rate);
    }
    profile_ask(root, 0);
    return seconds_now() - began;
}

/* ---- the file ---- */

static FILE *open_profile(void)
{
    FILE *out = options.output ? fopen(options.output, "we") : stdout;

    if (!out)
        ctl_fail(EX_CANTCREAT, "cannot create %s: %s", options.output, strerror(errno));
    return out;
}

int profile_command(int argc, char **argv, const char *path)
{
    const struct sigaction action = {.sa_handler = on_interrupt};
    char title[MAX_PREFIX + 100];
    struct profile_node root = {.name = title};
    double seconds;
    FILE *out;

    read_profile_options(argc, argv);
    options.socket = path;
    options.id = ((unsigned long)time(NULL) << 20) + (unsigned long)getpid();
    out = open_profile(); /* before the time is spent */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    seconds = profile_gather(&root);
    snprintf(title, sizeof(title), "%.1f s, all coroutines of all workers%s%s, %ld samples per second", seconds,
             options.prefix ? " that serve " : "", options.prefix ? options.prefix : "", options.rate);
    profile_tree_sort(&root);
    options.format->write(out, &root);
    if (fflush(out) || ferror(out) || (out != stdout && fclose(out)))
        ctl_fail(EX_IOERR, "cannot write the profile: %s", strerror(errno));
    profile_tree_release(&root);
    if (root.total == 0)
        fputs("syncless-ctl: no samples: nothing that is meant ran or waited\n", stderr);
    return 0;
}
