/*
 * ctl.c: the executable syncless-ctl: ask a running server, and tell it what to do.
 *
 * It passes its arguments as one line to the control socket of the master and prints the answer, whose first line has
 * the exit code (master/control.c). So it knows little, needs no library, and one of another version works too.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/ctl_session.h"
#include "ctl/profile_command.h"
#include "ctl/top.h"

#define DEFAULT_SOCKETS "/run/syncless/*.ctl"
#define MAX_LINE        1000 /* bytes of a question */
#define SILENCE         30   /* seconds without a byte of an answer; a reload may take longer */

static const char usage[] =
    "usage: syncless-ctl [-s SOCKET] [-j] COMMAND\n"
    "\n"
    "  ping                       whether the master answers\n"
    "  ready                      whether a worker serves and the server is not about to stop\n"
    "  status                     the master and its workers\n"
    "  about                      versions, and the configuration without passwords\n"
    "  workers [+N|-N]            the workers; or have so many more or fewer\n"
    "  requests [--older TIME]    the running requests, the oldest first; --slow: older than 1s; --limit N: of each\n"
    "                             worker only so many\n"
    "  top                        all of it, live: q quits, s sorts, p pauses\n"
    "  trace [ID|--older TIME]    the same with their stacks and where their time went\n"
    "  cancel ID                  cancel a request\n"
    "  record [-o FILE]           the last events of all workers, a trace for ui.perfetto.dev\n"
    "  console [PID]              a Python prompt in a worker\n"
    "  debug ID                   pdb on a request; the others go on, and so does it at the end\n"
    "  metrics [plain]            counters, in OpenMetrics or the older text format of Prometheus\n"
    "  profile [-s SECONDS] [-o FILE] [--format svg|collapsed|speedscope|perfetto] [--url PREFIX] [--rate HZ]\n"
    "                             where the time goes, on the CPU and in waits: a flame graph if FILE is .svg\n"
    "  reload [--wait]            read the configuration, and replace the workers; --wait for the result\n"
    "  reopen                     reopen the log files\n"
    "  log LEVEL                  error, warn, info or debug\n"
    "  drain                      stop the workers, but not the master\n"
    "  stop                       stop the server; running requests may end\n"
    "\n"
    "  -s SOCKET  the key \"control\" of [server]; by default $SYNCLESS_CONTROL, or the only " DEFAULT_SOCKETS "\n"
    "  -j         the answer is JSON\n";

void ctl_fail(int code, const char *fmt, ...)
{
    va_list ap;

    fputs("syncless-ctl: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(code);
}

/* ---- the question ---- */

static void append_word(char *line, const char *word)
{
    size_t size = strlen(line);

    if (!*word || strpbrk(word, " \n\r"))
        ctl_fail(EX_USAGE, "an argument is empty, or has a space or a line break in it");
    if (size + strlen(word) + 2 > MAX_LINE)
        ctl_fail(EX_USAGE, "the arguments are too long");
    sprintf(line + size, "%s%s", size ? " " : "", word);
}

/* Options of commands are words of the line. */
static void append_argument(char *line, const char *arg)
{
    if (!strcmp(arg, "--slow")) {
        append_word(line, "older");
        append_word(line, "1s");
    } else if (!strcmp(arg, "--older") || !strcmp(arg, "--limit") || !strcmp(arg, "--wait")) {
        append_word(line, arg + 2);
    } else if (!strncmp(arg, "--", 2)) {
        ctl_fail(EX_USAGE, "there is no option %s: see syncless-ctl -h", arg);
    } else {
        append_word(line, arg);
    }
}

/* ---- the socket ---- */

/* Returns the path of the socket if none is given. */
static const char *find_socket(void)
{
    const char *path = getenv("SYNCLESS_CONTROL");
    static glob_t found;

    if (path && *path)
        return path;
    if (glob(DEFAULT_SOCKETS, 0, NULL, &found) || found.gl_pathc == 0)
        ctl_fail(EX_UNAVAILABLE, "no server found at " DEFAULT_SOCKETS ": say where its socket is by -s");
    if (found.gl_pathc > 1)
        ctl_fail(EX_USAGE, "there are several servers, %s and %s for two: say which one by -s", found.gl_pathv[0],
                 found.gl_pathv[1]);
    return found.gl_pathv[0];
}

int connect_server(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        ctl_fail(EX_USAGE, "the path of the socket is too long: %s", path);
    strcpy(address.sun_path, path);
    if (fd < 0)
        ctl_fail(EX_OSERR, "cannot make a socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (errno == EACCES || errno == EPERM)
        ctl_fail(EX_NOPERM, "no permission to use %s: it is for its owner only", path);
    if (errno == ECONNREFUSED)
        ctl_fail(EX_UNAVAILABLE, "no server listens at %s: it has ended and left the socket behind", path);
    ctl_fail(EX_UNAVAILABLE, "cannot connect to %s: %s", path, strerror(errno));
}

void send_line(int fd, const char *line)
{
    char text[MAX_LINE + 40];
    int size = snprintf(text, sizeof(text), "%s\n", line);

    if (send(fd, text, (size_t)size, MSG_NOSIGNAL) != size)
        ctl_fail(EX_UNAVAILABLE, "cannot send the command: %s", strerror(errno));
}

/* ---- the answer ---- */

int ctl_read_code(FILE *in)
{
    char line[64];
    int version, code;

    if (!fgets(line, sizeof(line), in))
        ctl_fail(EX_UNAVAILABLE, "the server has ended, or gives no answer");
    if (sscanf(line, "syncless %d %d", &version, &code) != 2)
        ctl_fail(EX_PROTOCOL, "this is no control socket of Syncless");
    return code;
}

/* Print the rest: messages of failures, which are no JSON, to standard error. */
static void print_answer(FILE *in, FILE *out)
{
    char buf[65536];
    size_t size;

    while ((size = fread(buf, 1, sizeof(buf), in)) > 0) {
        ctl_disarm(buf, size);
        fwrite(buf, 1, size, out);
    }
    if (ferror(in))
        ctl_fail(EX_UNAVAILABLE, "the answer breaks off: %s", strerror(errno));
    if (fflush(out))
        ctl_fail(EX_IOERR, "cannot write the answer: %s", strerror(errno));
}

/* What the command line says. */
struct ctl_command {
    const char *path;   /* NULL: not given */
    const char *output; /* a file for the answer; NULL: standard output */
    bool json, waits;
    char line[MAX_LINE + 16]; /* without "json" */
};

/* Returns standard output, or the file that is to have the answer. */
static FILE *open_output(const char *path)
{
    FILE *out = path ? fopen(path, "we") : stdout;

    if (!out)
        ctl_fail(EX_CANTCREAT, "cannot create %s: %s", path, strerror(errno));
    return out;
}

static int ask_server(const char *path, const char *line, const struct ctl_command *c)
{
    const struct timeval silence = {.tv_sec = SILENCE};
    int fd = connect_server(path), code;
    FILE *in = fdopen(fd, "r"), *out;

    if (!in)
        ctl_fail(EX_OSERR, "cannot read: %s", strerror(errno));
    if (!c->waits)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    send_line(fd, line);
    setvbuf(in, NULL, _IONBF, 0); /* what follows the first line may be read by ctl_session */
    code = ctl_read_code(in);
    if (!code && ctl_is_session(line))
        return ctl_session(fd);
    if (code && !c->json)
        fputs("syncless-ctl: ", stderr);
    out = code && !c->json ? stderr : open_output(c->output);
    print_answer(in, out);
    fclose(in);
    if (c->output && out != stderr && fclose(out))
        ctl_fail(EX_IOERR, "cannot write %s: %s", c->output, strerror(errno));
    return code;
}

static void read_options(struct ctl_command *c, int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "+s:jh")) >= 0)
        switch (option) {
        case 's':
            c->path = optarg;
            break;
        case 'j':
            c->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            exit(EX_USAGE);
        }
}

int main(int argc, char **argv)
{
    struct ctl_command c = {.path = NULL};
    char line[MAX_LINE + 32];

    read_options(&c, argc, argv);
    if (optind == argc)
        ctl_fail(EX_USAGE, "expected a command: see syncless-ctl -h");
    if (!strcmp(argv[optind], "profile"))
        return profile_command(argc - optind, argv + optind, c.path ? c.path : find_socket());
    for (int i = optind; i < argc; i++) {
        c.waits |= !strcmp(argv[i], "--wait");
        if (!strcmp(argv[i], "-j"))
            c.json = true;
        else if (!strcmp(argv[i], "-o") && argv[i + 1])
            c.output = argv[++i];
        else
            append_argument(c.line, argv[i]);
    }
    if (!strcmp(c.line, "top") && !c.json)
        return top_run(c.path ? c.path : find_socket());
    snprintf(line, sizeof(line), "%s%s", c.json ? "json " : "", c.line);
    return ask_server(c.path ? c.path : find_socket(), line, &c);
}
