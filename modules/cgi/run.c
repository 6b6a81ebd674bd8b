/*
 * run.c: a script from its start to its end.
 *
 * The coroutine of the request sits in one poll(2) loop over all that can happen: output, stderr, the end of the
 * process, the end of the request body. The body is passed on by a second coroutine, the pump, because sl_body waits
 * for the client and write(2) for the script, and neither may keep the output from flowing: a script that answers while
 * it reads would else stand still, and we with it. The pump works on the memory of the request, so run_script returns
 * only after it has ended, which it tells by an eventfd.
 *
 * The time limit is one of silence, as Apache's: a script has it anew with each output and each piece of body it takes,
 * so a long download is not cut, and a slow client is not held against the script. What ends a script early, be it the
 * limit, malformed output or a client that left, ends its whole process group: SIGTERM, then SIGKILL after a grace. The
 * group is killed before its leader is reaped, for until then no other group can have its number.
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
#define PIPE_SIZE   65536 /* what Linux keeps in a pipe */
#define GRACE       3000  /* ms from SIGTERM to SIGKILL */

struct run {
    const struct cgi *cgi;
    struct sl_request *req;
    const struct script *script;
    struct child child;
    struct head head;
    struct lines lines;
    char *buf;
    int pumped;     /* eventfd, readable when the pump has ended; -1 when there is none (any more) */
    int body_error; /* -errno of sl_body */
    int64_t alive;  /* CLOCK_MONOTONIC ms of the last sign of life */
    bool discard;   /* output is of no more use */
};

static int64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* ---- the pump: request body to script, on a coroutine of its own ---- */

/* Write all to the script. False when it does not want it: it has closed its stdin, or we have. Nobody is to wait then
 * for what the client has not sent yet. */
static bool pump_write(struct run *run, const char *buf, size_t size)
{
    while (size) {
        ssize_t n = write(run->child.in, buf, size);

        if (n < 0 && errno != EINTR) {
            sl_body_cancel(run->req);
            return false;
        }
        if (n > 0) {
            run->alive = now();
            buf += n;
            size -= n;
        }
    }
    return true;
}

static void pump(void *arg)
{
    struct run *run = arg;
    char *buf = sl_alloc(run->req, BUFFER_SIZE);
    ssize_t n;

    do {
        n = sl_body(run->req, buf, BUFFER_SIZE);
        run->alive = now();
    } while (n > 0 && pump_write(run, buf, n));
    if (n < 0)
        run->body_error = n; /* stdin stays open: an end of file would tell the script that it has everything */
    else
        child_close(&run->child.in);
    eventfd_write(run->pumped, 1); /* the end: run may be gone when the other coroutine has seen it */
}

static int pump_start(struct run *run)
{
    run->pumped = eventfd(0, EFD_CLOEXEC);
    if (run->pumped < 0)
        return -errno;
    if (sl_spawn(pump, run) < 0) {
        child_close(&run->pumped);
        return -ENOMEM;
    }
    usleep(0); /* the pump first: a client that expects 100 Continue gets it before a script's early answer */
    return 0;
}

/* End the pump, if it has not come to its end. It waits for nothing any more: our end of the script's stdin is closed,
 * and what the client still sends is of no use. */
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

/* Pass a piece of the body on. Where the pipe was emptied by it, it goes out at once: more may be long in coming. */
static int relay_body(struct run *run, const char *body, size_t size, bool flush)
{
    int rc = size ? sl_write(run->req, body, size) : 0;

    if (!rc && flush)
        rc = sl_flush(run->req);
    run->alive = now(); /* the client's slowness is not the script's */
    return rc;
}

static int on_output(struct run *run)
{
    ssize_t n = read(run->child.out, run->buf, BUFFER_SIZE);
    const char *body = run->buf;
    int rc;

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (n == 0)
        child_close(&run->child.out);
    if (n == 0 || run->discard)
        return 0;
    run->alive = now();
    if (!run->head.done) {
        rc = head_feed(&run->head, run->req, run->script, run->buf, n, &body);
        if (rc || !run->head.done)
            return rc;
    }
    return relay_body(run, body, run->buf + n - body, n < BUFFER_SIZE);
}

static int on_stderr(struct run *run)
{
    char buf[STDERR_SIZE];
    ssize_t n = read(run->child.err, buf, sizeof(buf));

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (n == 0)
        child_close(&run->child.err);
    lines_feed(&run->lines, run->req, run->script, buf, n);
    return 0;
}

/* Wait until the time until for something to happen, and deal with it. 0; -ETIME if nothing did; or another -errno that
 * says why the script must end. */
static int step(struct run *run, int64_t until)
{
    int64_t left = until - now();
    struct pollfd fds[] = {
        {.fd = run->child.out, .events = POLLIN},
        {.fd = run->child.err, .events = POLLIN},
        {.fd = run->child.exited, .events = POLLIN},
        {.fd = run->pumped, .events = POLLIN},
    };
    int n = poll(fds, sizeof(fds) / sizeof(*fds), left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left);
    int rc = 0;

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ETIME;
    if (fds[1].revents)
        rc = on_stderr(run);
    if (fds[2].revents)
        child_close(&run->child.exited);
    if (fds[3].revents)
        child_close(&run->pumped);
    if (!rc && fds[0].revents)
        rc = on_output(run);
    return rc;
}

/* When the script must have given a sign of life. */
static int64_t silence_ends(const struct run *run)
{
    int64_t until = run->cgi->timeout ? run->alive + run->cgi->timeout : INT64_MAX;

    return run->req->deadline && run->req->deadline < until ? run->req->deadline : until;
}

/* Until the script has closed its output and ended. 0, or why it must be ended: -ETIME if it was silent for too long.
 */
static int relay(struct run *run)
{
    int rc = 0;

    while (!rc && (run->child.out >= 0 || run->child.exited >= 0)) {
        rc = step(run, silence_ends(run));
        if (rc == -ETIME && now() < silence_ends(run))
            rc = 0; /* the pump saw a sign of life meanwhile */
        if (!rc)
            rc = run->body_error;
    }
    if (rc == -ETIME)
        sl_log(run->req, SL_ERROR, "cgi: %s: no output and no input taken for %lld ms: timed out, and is ended",
               run->script->file, (long long)(now() - run->alive));
    return rc;
}

/* End the process group: it is asked to, and has until the grace is over to go and to say its last words. */
static void terminate(struct run *run)
{
    int64_t until = now() + GRACE;

    run->req->local = NULL; /* see cgi_cancel */
    sl_cancel(sl_self(), 0);
    run->discard = true;
    child_signal(&run->child, SIGTERM);
    while ((run->child.out >= 0 || run->child.err >= 0 || run->child.exited >= 0) && step(run, until) == 0)
        ;
    child_signal(&run->child, SIGKILL);
}

/* Log what is still in the pipe of stderr, and no more: a background process may hold it open, and write. */
static void drain_stderr(struct run *run)
{
    struct pollfd err = {.fd = run->child.err, .events = POLLIN};
    int64_t left;

    for (left = PIPE_SIZE; left > 0 && run->child.err >= 0 && poll(&err, 1, 0) == 1; left -= STDERR_SIZE)
        if (on_stderr(run) < 0)
            break;
}

/* ---- the end ---- */

/* The answer when the script could not be started. */
static int not_started(const struct run *run, int error)
{
    const char *hint = "";

    if (error == -ENOEXEC)
        hint = " (a script needs a first line #!/path/to/interpreter)";
    else if (error == -ENOENT)
        hint = " (is the program of its #! line installed?)";
    sl_log(run->req, SL_ERROR, "cgi: %s: cannot be started: %s%s", run->script->file, strerror(-error), hint);
    return error == -EAGAIN || error == -ENOMEM || error == -EMFILE || error == -ENFILE ? 503 : 500;
}

/* The answer when the script has come to its end by itself: it is whole unless a signal ended the script. */
static int ended(const struct run *run)
{
    int status = run->child.status;
    const char *how;

    if (WIFSIGNALED(status))
        how = sl_printf(run->req, "signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        how = sl_printf(run->req, "exit status %d", WEXITSTATUS(status));
    if (!run->head.done) {
        sl_log(run->req, SL_ERROR, "cgi: %s: malformed output: ended (%s) within the head%s%.200s", run->script->file,
               how, run->head.size ? ": " : "", run->head.size ? run->head.text : "");
        return 502;
    }
    if (status)
        sl_log(run->req, SL_WARN, "cgi: %s: ended with %s", run->script->file, how);
    return WIFSIGNALED(status) ? 502 : 0;
}

/* What handle shall return: rc is that of relay. Once the response has begun, a status only means that it is cut. */
static int verdict(const struct run *run, int rc)
{
    const char *file = run->script->file;

    if (rc == 0)
        return ended(run);
    if (rc == run->body_error)
        return rc == -EBADMSG ? 400 : rc;
    if (rc == -ETIME)
        return 504;
    if (rc == -EPROTO)
        return 502; /* head.c has said why */
    if (rc == -EMSGSIZE) {
        sl_log(run->req, SL_WARN, "cgi: %s: wrote more than its Content-Length; the rest is cut off", file);
        return 0;
    }
    sl_log(run->req, SL_INFO, "cgi: %s: ended: %s", file, strerror(-rc));
    return rc;
}

int run_script(const struct cgi *cgi, struct sl_request *req, const struct script *script)
{
    struct run run = {.cgi = cgi, .req = req, .script = script, .pumped = -1, .alive = now()};
    int rc = child_start(&run.child, script, env_build(cgi, req, script), req->length != 0);

    if (rc)
        return not_started(&run, rc);
    run.buf = sl_alloc(req, BUFFER_SIZE);
    if (run.child.in >= 0)
        rc = pump_start(&run);
    if (!rc)
        rc = relay(&run);
    if (rc)
        terminate(&run);
    else
        drain_stderr(&run);
    lines_end(&run.lines, req, script);
    child_reap(&run.child);
    pump_join(&run);
    return verdict(&run, rc);
}
