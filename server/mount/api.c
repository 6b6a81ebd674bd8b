/*
 * api.c: the functions that modules call, include/syncless.h and include/syncless/: each calls the layer that does the
 * work.
 */
#include "syncless.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/http_date.h"
#include "base/mem.h"
#include "base/thread.h"
#include "http/cancel.h"
#include "http/connection.h"
#include "http/io/input.h"
#include "http/request/body.h"
#include "http/request/request.h"
#include "http/request/target.h"
#include "http/response/response.h"
#include "http/request/token.h"
#include "host/host.h"
#include "libc/dns/dns.h"
#include "libc/libc.h"
#include "libc/runtime/park.h"
#include "libc/tls/redirect.h"
#include "log/log.h"
#include "mount/embed.h"
#include "mount/mount.h"
#include "syncless/runtime.h"
#include "wait/wait.h"

static int (*watch_files_fn)(const char *lines); /* NULL: the server watches no files */

void mount_set_watch(int (*fn)(const char *lines))
{
    watch_files_fn = fn;
}

const char *sl_find(const struct sl_request *req, const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < req->field_count; i++)
        if (req->fields[i].name_size == size && !strncasecmp(req->fields[i].name, name, size))
            return req->fields[i].value;
    return NULL;
}

int sl_status(struct sl_request *req, int status, const char *reason)
{
    return response_status(request_of(req), status, reason);
}

int sl_header(struct sl_request *req, const char *name, const char *value)
{
    return response_header(request_of(req), name, strlen(name), value, strlen(value));
}

int sl_header_n(struct sl_request *req, const char *name, size_t name_size, const char *value, size_t value_size)
{
    return response_header(request_of(req), name, name_size, value, value_size);
}

int sl_reset(struct sl_request *req)
{
    return response_reset(request_of(req));
}

int sl_set_user(struct sl_request *req, const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || !token_is_text(name, size))
        return -EINVAL;
    req->user = arena_strndup(&request_of(req)->arena, name, size);
    return 0;
}

void *sl_alloc(struct sl_request *req, size_t size)
{
    return arena_alloc(&request_of(req)->arena, size);
}

char *sl_printf(struct sl_request *req, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = arena_vprintf(&request_of(req)->arena, fmt, ap);
    va_end(ap);
    return s;
}

void *sl_must(void *memory)
{
    if (!memory) {
        log_error("out of memory in a module");
        abort();
    }
    return memory;
}

void sl_defer(struct sl_request *req, void (*fn)(void *arg), void *arg)
{
    arena_defer(&request_of(req)->arena, fn, arg);
}

_Static_assert((int)SL_ERROR == LOG_LEVEL_ERROR && (int)SL_WARN == LOG_LEVEL_WARN && (int)SL_INFO == LOG_LEVEL_INFO &&
                   (int)SL_DEBUG == LOG_LEVEL_DEBUG,
               "the public levels are those of the log");

void sl_log(const struct sl_request *req, enum sl_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (req)
        request_vlog(request_of(req), (enum log_level)level, fmt, ap);
    else
        log_vwrite((enum log_level)level, fmt, ap);
    va_end(ap);
}

const char *sl_id(const struct sl_request *req)
{
    return request_id(request_of(req));
}

ssize_t sl_body(struct sl_request *req, void *buf, size_t size)
{
    return body_read(request_of(req), buf, size);
}

void sl_body_cancel(struct sl_request *req)
{
    body_cancel(request_of(req));
}

void sl_body_timeout(struct sl_request *req, int64_t milliseconds)
{
    if (request_of(req)->body_kind == BODY_RAW)
        request_of(req)->in->timeout = milliseconds * 1000000;
}

int sl_write(struct sl_request *req, const void *buf, size_t size)
{
    coro_give_way(); /* what is small is only collected, so a loop of these may never come to a system call */
    return response_write(request_of(req), buf, size);
}

int sl_flush(struct sl_request *req)
{
    return response_flush(request_of(req));
}

int sl_sendfile(struct sl_request *req, int fd, off_t offset, size_t size)
{
    return response_sendfile(request_of(req), fd, offset, size);
}

int sl_reply(struct sl_request *req, int status, const char *type, const void *body, size_t size)
{
    return response_reply(request_of(req), status, type, body, size);
}

int sl_end(struct sl_request *req)
{
    return response_finish(request_of(req));
}

/* Whether the fields of that name, which are lists, have the token. */
static bool request_has_token(const struct sl_request *req, const char *name, const char *token)
{
    for (size_t i = 0; i < req->field_count; i++)
        if (!strcasecmp(req->fields[i].name, name) &&
            token_in_list((struct span){req->fields[i].value, req->fields[i].value_size}, token))
            return true;
    return false;
}

int sl_upgrade(struct sl_request *req, const char *protocol)
{
    /* Connection too: a proxy that passes Upgrade on without knowing it would take what follows for a response, and
     * send more requests. */
    if (!request_has_token(req, "Connection", "upgrade") || !request_has_token(req, "Upgrade", protocol))
        return -EINVAL;
    return response_upgrade(request_of(req), protocol);
}

int sl_hand_over(struct sl_request *req)
{
    return response_hand_over(request_of(req));
}

size_t sl_unread(const struct sl_request *req)
{
    return input_unread(request_of((struct sl_request *)req)->in);
}

size_t sl_host(const struct sl_request *req, uint16_t *port)
{
    return target_host_size(req, port);
}

void sl_http_date(time_t when, char text[SL_HTTP_DATE_SIZE])
{
    http_date_format(when, text);
}

int sl_http_date_parse(const char *text, time_t *when)
{
    return http_date_parse(text, when) ? 0 : -EINVAL;
}

struct spawn {
    void (*fn)(void *arg);
    void *arg;
};

/* The function is a thread of its own: one that used the coroutine before it ends first, and this one with it. */
static void run_spawned(void *arg)
{
    struct spawn spawn = *(struct spawn *)arg;

    free(arg);
    coro_end_thread();
    spawn.fn(spawn.arg);
    coro_end_thread();
}

static void start_posted_coroutine(void *arg)
{
    if (wait_start(run_spawned, arg))
        return;
    log_error("cannot start a coroutine for another thread: %m");
    free(arg);
}

int sl_spawn(void (*fn)(void *arg), void *arg)
{
    struct spawn *spawn;
    int err;

    if (!wait_has_loop())
        return -ENXIO;
    spawn = xmalloc(sizeof(*spawn));
    *spawn = (struct spawn){fn, arg};
    if (!coro_self() && !wait_is_owner()) {
        wait_post(start_posted_coroutine, spawn);
        return 0;
    }
    if (wait_start(run_spawned, spawn))
        return 0;
    err = -errno;
    free(spawn);
    return err;
}

int sl_watch_files(const char *lines)
{
    return watch_files_fn ? watch_files_fn(lines) : -ENOTSUP;
}

int sl_on_drain(void (*fn)(void))
{
    return http_on_drain(fn);
}

void sl_yield(void)
{
    if (coro_self() && wait_revive())
        coro_yield();
}

void sl_give_way(void)
{
    if (slice_is_over() && coro_current && wait_revive())
        coro_give_way();
}

static int resolve_error(int code)
{
    switch (code) {
    case HOST_NOT_FOUND:
        return -ENOENT;
    case NO_DATA:
        return -ENODATA;
    case NO_RECOVERY:
        return -EBADMSG;
    case NETDB_INTERNAL:
        return -errno;
    default:
        return -EAGAIN;
    }
}

ssize_t sl_resolve(const char *name, int type, void *reply, size_t size)
{
    struct dns_answer answer;
    ssize_t result;
    int code;

    if (!coro_self())
        return -EPERM;
    dns_answer_init(&answer);
    code = dns_find_records(name, type, &answer);
    result = code ? resolve_error(code) : (ssize_t)answer.reply_size;
    if (result > 0)
        memcpy(reply, answer.reply, answer.reply_size < size ? answer.reply_size : size);
    dns_answer_release(&answer);
    return result;
}

int sl_offload(int (*fn)(void *arg), void *arg)
{
    return wait_offload(fn, arg);
}

/* ---- syncless/serve.h: a struct sl_server is a struct endpoint ---- */

struct sl_server *sl_serve(const struct sl_service *service, char **why)
{
    return (struct sl_server *)embed_open(service, why);
}

struct sl_server *sl_serve_plain(struct sl_server *server)
{
    return (struct sl_server *)embed_plain((struct endpoint *)server);
}

void sl_serve_connection(struct sl_server *server, int fd, const struct sockaddr *peer)
{
    embed_connection((struct endpoint *)server, fd, peer);
}

void sl_serve_end(struct sl_server *server)
{
    embed_close((struct endpoint *)server);
}

/* ---- syncless/runtime.h ---- */

void sl_on_signal(int signum, void (*fn)(int signum))
{
    wait_signal(signum, fn);
}

int sl_local_create(const struct sl_local *hooks)
{
    return coro_local_create(hooks);
}

void *sl_local_get(int key)
{
    struct coro *co = coro_here();

    return co ? co->local[key] : NULL;
}

void sl_local_set(int key, void *value)
{
    struct coro *co = coro_here();

    if (co)
        co->local[key] = value;
}

void *sl_self(void)
{
    return coro_self();
}

void sl_cancel(void *coroutine, int error)
{
    wait_cancel(coroutine, error == 0 || error == EINTR ? -error : -ECANCELED);
}

void sl_as_main_thread(bool on)
{
    if (coro_self())
        coro_self()->as_main = on;
}

void sl_make_main_thread(void *coroutine)
{
    struct coro *co = coroutine;

    co->as_main = !co->away;
}

void sl_hold(struct sl_request *req, bool on)
{
    cancel_hold(request_of(req), on);
}

void sl_park_for_good(void)
{
    while (coro_self())
        coro_park();
    pthread_exit(NULL);
}

void sl_stay_alone(bool on)
{
    struct coro *co = coro_self();

    if (!co)
        return;
    co->alone = on;
    if (!on)
        slice_begin(); /* what the code guards ends a little later, so it does not have to give way at once */
}

void sl_preempt(const struct sl_preempt *hooks)
{
    coro_preempt_by(hooks);
}

void sl_threads(const struct sl_threads *hooks)
{
    coro_threads_by(hooks);
}

int sl_runtime(const void *address)
{
    return libc_runtime(address);
}

void sl_reserve(size_t size)
{
    coro_reserve(size);
}

void *sl_reserved(size_t *size)
{
    struct coro *co = coro_self();

    if (!co || !co->reserved)
        return NULL;
    *size = co->reserved;
    return co + 1;
}

int sl_thread_start(void *(*fn)(void *arg), void *arg, size_t stack)
{
    return thread_start(fn, arg, stack);
}

void sl_redirect(const struct sl_redirect *table)
{
    redirect_add(table);
}

int sl_depart(void)
{
    return park_possible() && wait_depart() ? 0 : -EPERM;
}

bool sl_return(void)
{
    return wait_return();
}

bool sl_waits(void)
{
    return coro_current && coro_current->waiting;
}

const char *sl_runtime_path(void)
{
    return host_python();
}

const char *sl_program_path(void)
{
    return host_executable();
}
