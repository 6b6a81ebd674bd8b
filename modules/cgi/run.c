/*
 * run.c: a script from its start to its end.
 *
 * The coroutine of the request runs a poll(2) loop over all events: output, stderr, the end of the process, the end of
 * the request body. A second coroutine, the pump, passes on the body, because sl_body waits for the client and write(2)
 * for the script, and neither may stop the output: a script that answers while it reads would deadlock with us. The
 * pump uses the memory of the request, so run_script returns only after the pump has ended, which it signals by an
 * eventfd.
 *
 * The timeout is one of silence, as Apache's: it starts again with each piece of output and each piece of body that the
 * script reads, so long downloads are not cut, and a slow client does not count against the script. A script that is
 * ended early (by the timeout, malformed output or a client that left) is ended with its whole process group: SIGTERM,
 * then SIGKILL after a grace period. That is done before its leader is reaped: until then no other group can have its
 * number.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgi.h"

#define BUFFER_SIZE 16384
#define STDERR_SIZE 512
#define PIPE_SIZE   65536 /* bytes that Linux keeps in a pipe */
#define GRACE       3000  /* milliseconds from SIGTERM to SIGKILL */
#define LOOK_EVERY  20    /* milliseconds between looks whether the script has ended, where there is no pidfd */

struct run {
    const struct cgi *cgi;
    struct sl_request *req;
    const struct script *script;
    struct child child;
    struct output_head head;
    struct stderr_lines lines;
    char *buf;
    int pumped;     /* eventfd, readable once the pump has ended; -1: there is no pump, or it is known to have ended */
    int body_error; /* -errno of sl_body */
    int64_t alive;  /* CLOCK_MONOTONIC milliseconds of the last output or input of the script */
    bool discard;   /* output is not sent any more */
};

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* ---- the pump: request body to script, on a coroutine of its own ---- */

/* Write all of buf to the script. Returns false if its stdin is closed, by itself or by us; then the rest of the body
 * is not waited for. */
static bool pump_write(struct run *run, const char *buf, size_t size)
{
    while (size) {
        ssize_t n = write(run->child.in, buf, size);

        if (n < 0 && errno != EINTR) {
            sl_body_cancel(run->req);
            return false;
        }
        if (n > 0) {
            run->alive = now_ms();
            buf += n;
            size -= n;
        }
    }
    return true;
}

static void pump_run(void *arg)
{
    struct run *run = arg;
    char *buf = sl_alloc(run->req, BUFFER_SIZE);
    ssize_t n;

    do {
        n = sl_body(run->req, buf, BUFFER_SIZE);
        run->alive = now_ms();
    } while (n > 0 && pump_write(run, buf, n));
    if (n < 0)
        run->body_error = n; /* stdin stays open: end of file would mean that this is the whole body */
    else
        child_close(&run->child.in);
    eventfd_write(run->pumped, 1); /* run may not be used from here on: the other coroutine may free it */
}

static int pump_start(struct run *run)
{
    run->pumped = eventfd(0, EFD_CLOEXEC);
    if (run->pumped < 0)
        return -errno;
    if (sl_spawn(pump_run, run) < 0) {
        child_close(&run->pumped);
        return -ENOMEM;
    }
    sl_yield(); /* to the pump: a client that waits for 100 Continue gets it before a script's early answer */
    return 0;
}

/* Wait for the end of the pump, if it runs. Our end of the script's stdin is closed, and the rest of the body is of no
 * use, so it does not wait for either. */
static void pump_join(struct run *run)
{
    struct pollfd ended = {.fd = run->pumped, .events = POLLIN};

    if (run->pumped < 0)
        return;
    if (poll(&ended, 1, 0) < 1)
        sl_body_cancel(run->req);
    while (poll(&ended, 1, -1) < 1)
        ;
    child_close(&run->pumped);
}

/* ---- the script's side ---- */

/* Send a piece of the response body. flush: the pipe is empty now, so send it at once. */
static int relay_body(struct run *run, const char *body, size_t size, bool flush)
{
    int err = size ? sl_write(run->req, body, size) : 0;

    if (!err && flush)
        err = sl_flush(run->req);
    run->alive = now_ms(); /* the client's slowness is not the script's */
    return err;
}

static int read_output(struct run *run)
{
    ssize_t n = read(run->child.out, run->buf, BUFFER_SIZE);
    const char *body = run->buf;
    int err;

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (n == 0)
        child_close(&run->child.out);
    if (n == 0 || run->discard)
        return 0;
    run->alive = now_ms();
    if (!run->head.complete) {
        err = output_head_feed(&run->head, run->req, run->script, run->buf, n, &body);
        if (err || !run->head.complete)
            return err;
    }
    return relay_body(run, body, run->buf + n - body, n < BUFFER_SIZE);
}

static int read_stderr(struct run *run)
{
    char buf[STDERR_SIZE];
    ssize_t n = read(run->child.err, buf, sizeof(buf));

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (n == 0)
        child_close(&run->child.err);
    stderr_lines_feed(&run->lines, buf, n);
    return 0;
}

/* Note that the script has ended. */
static void note_exit(struct run *run)
{
    child_close(&run->child.exited);
    run->child.running = false;
}

/* Returns the timeout of a poll(2) that ends at the time `until`, or earlier to look after the script. */
static int script_poll_timeout(const struct run *run, int64_t until)
{
    int64_t left = until - now_ms(), max = run->child.running && run->child.exited < 0 ? LOOK_EVERY : INT_MAX;

    return left < 0 ? 0 : left > max ? (int)max : (int)left;
}

/* Wait for events, at the latest until the time `until`, and deal with them. Returns 0; -ETIME if there was none; or
 * another -errno for which the script must be ended. */
static int handle_events(struct run *run, int64_t until)
{
    struct pollfd fds[] = {
        {.fd = run->child.out, .events = POLLIN},
        {.fd = run->child.err, .events = POLLIN},
        {.fd = run->child.exited, .events = POLLIN},
        {.fd = run->pumped, .events = POLLIN},
    };
    int n = poll(fds, sizeof(fds) / sizeof(*fds), script_poll_timeout(run, until));
    int err = 0;

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (fds[2].revents || (run->child.running && run->child.exited < 0 && child_has_ended(&run->child)))
        note_exit(run);
    else if (n == 0)
        return now_ms() < until ? 0 : -ETIME;
    if (fds[1].revents)
        err = read_stderr(run);
    if (fds[3].revents)
        child_close(&run->pumped);
    if (!err && fds[0].revents)
        err = read_output(run);
    return err;
}

/* The time at which the script is ended if it stays silent, or at which the request is due. */
static int64_t silence_ends(const struct run *run)
{
    int64_t until = run->cgi->timeout ? run->alive + run->cgi->timeout : INT64_MAX;

    return run->req->deadline && run->req->deadline < until ? run->req->deadline : until;
}

/* Relay until the script has closed its output and ended. Returns 0, or -errno if it must be ended: -ETIME if it was
 * silent for too long. */
static int relay_all(struct run *run)
{
    int err = 0;

    while (!err && (run->child.out >= 0 || run->child.running)) {
        err = handle_events(run, silence_ends(run));
        if (err == -ETIME && now_ms() < silence_ends(run))
            err = 0; /* the script has read input meanwhile */
        if (!err)
            err = run->body_error;
    }
    if (err == -ETIME)
        sl_log(run->req, SL_ERROR, "cgi: %s: timed out: no output and no input taken for %lld ms", run->script->file,
               (long long)(now_ms() - run->alive));
    return err;
}

/* End the process group: SIGTERM, and SIGKILL once it has ended or after the grace period. */
static void end_group(struct run *run)
{
    int64_t until = now_ms() + GRACE;

    run->discard = true;
    child_signal(&run->child, SIGTERM);
    while ((run->child.out >= 0 || run->child.err >= 0 || run->child.running) && handle_events(run, until) == 0)
        ;
    child_signal(&run->child, SIGKILL);
}

/* Log what is still in the pipe of stderr, but no more: a background process may go on writing to it. */
static void drain_stderr(struct run *run)
{
    struct pollfd err = {.fd = run->child.err, .events = POLLIN};
    int64_t left;

    for (left = PIPE_SIZE; left > 0 && run->child.err >= 0 && poll(&err, 1, 0) == 1; left -= STDERR_SIZE)
        if (read_stderr(run) < 0)
            break;
}

/* ---- results of sl_module.handle ---- */

/* The script could not be started. */
static int result_of_failed_start(const struct run *run, int error)
{
    const char *hint = "";

    if (error == -ENOEXEC)
        hint = " (a script needs a first line #!/path/to/interpreter)";
    else if (error == -ENOENT)
        hint = " (is the program of its #! line installed?)";
    sl_log(run->req, SL_ERROR, "cgi: %s: cannot be started: %s%s", run->script->file, strerror(-error), hint);
    return error == -EAGAIN || error == -ENOMEM || error == -EMFILE || error == -ENFILE ? 503 : 500;
}

/* The script has ended by itself; the response is whole unless a signal killed it. */
static int result_of_exit(const struct run *run)
{
    int status = run->child.status;
    const char *how;

    if (WIFSIGNALED(status))
        how = sl_printf(run->req, "signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        how = sl_printf(run->req, "exit status %d", WEXITSTATUS(status));
    if (!run->head.complete) {
        sl_log(run->req, SL_ERROR, "cgi: %s: malformed output: ended (%s) before the end of the head%s%.200s",
               run->script->file, how, run->head.size ? ": " : "", run->head.size ? run->head.text : "");
        return 502;
    }
    if (status)
        sl_log(run->req, SL_WARN, "cgi: %s: ended with %s", run->script->file, how);
    return WIFSIGNALED(status) ? 502 : 0;
}

/* err is that of relay_all. If the response has begun, a status only closes the connection. */
static int result_of_relay(const struct run *run, int err)
{
    const char *file = run->script->file;

    if (err == 0)
        return result_of_exit(run);
    if (err == run->body_error)
        return err == -EBADMSG ? 400 : err;
    if (err == -ETIME)
        return 504;
    if (err == -EPROTO)
        return 502; /* output_head.c has logged why */
    if (err == -EMSGSIZE) {
        sl_log(run->req, SL_WARN, "cgi: %s: wrote more than its Content-Length; the rest is not sent", file);
        return 0;
    }
    sl_log(run->req, SL_INFO, "cgi: %s: ended: %s", file, strerror(-err));
    return err;
}

int run_script(const struct cgi *cgi, struct sl_request *req, const struct script *script)
{
    struct run run = {.cgi = cgi,
                      .req = req,
                      .script = script,
                      .pumped = -1,
                      .alive = now_ms(),
                      .lines = {.cgi = cgi, .req = req, .script = script}};
    int err = child_start(&run.child, script, env_build(cgi, req, script), req->length != 0);

    if (err)
        return result_of_failed_start(&run, err);
    run.buf = sl_alloc(req, BUFFER_SIZE);
    if (run.child.in >= 0)
        err = pump_start(&run);
    if (!err)
        err = relay_all(&run);
    req->local = NULL; /* from here on no wait may fail, see cgi_cancel */
    sl_cancel(sl_self(), 0);
    if (err)
        end_group(&run);
    else
        drain_stderr(&run);
    stderr_lines_end(&run.lines);
    child_reap(&run.child);
    pump_join(&run);
    return result_of_relay(&run, err);
}
