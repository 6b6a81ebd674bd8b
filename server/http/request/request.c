/*
 * request.c: the id of a request, and its lines in the error log.
 *
 * Ids need to be unique within a site, not unguessable: a counter with a random start for each process is put through a
 * bijection, so that consecutive ids do not look alike. The randomness is the kernel's; the generator of random(3) is
 * the application's.
 */
#include "http/request/request.h"

#include <errno.h>
#include <sys/random.h>

#include "base/digits.h"
#include "http/io/input.h"
#include "http/request/trace_context.h"
#include "log/log.h"

static uint64_t id_start[2], id_count;

void request_init_ids(void)
{
    if (getrandom(id_start, sizeof(id_start), 0) != sizeof(id_start))
        log_die("cannot get random bytes for request ids: %m");
}

/* The finalizer of splitmix64, a bijection. */
static uint64_t id_mix(uint64_t n)
{
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

void request_new_id(uint64_t words[2])
{
    uint64_t n = ++id_count * UINT64_C(0x9e3779b97f4a7c15);

    words[0] = id_mix(id_start[0] + n);
    words[1] = id_mix(id_start[1] + n);
}

const char *request_id(const struct request *const_req)
{
    struct request *req = (struct request *)const_req; /* made when it is first asked for */
    uint64_t words[2];
    char *text;

    if (req->id)
        return req->id;
    request_new_id(words);
    text = arena_alloc(&req->arena, 2 * sizeof(words) + 1);
    digits_hex(text, words, sizeof(words));
    text[2 * sizeof(words)] = '\0';
    return req->id = text;
}

bool request_is_cut(const struct request *req)
{
    return req->body_error == -ECONNRESET && req->in->ended;
}

void request_vlog(const struct request *req, enum log_level level, const char *fmt, va_list ap)
{
    struct arena scratch;

    if (!log_enabled(level))
        return;
    arena_init(&scratch);
    log_write(level, "rid=%s%s%s %s %s: %s", request_id(req), req->trace ? " trace=" : "",
              req->trace ? req->trace->trace_id : "", req->view.method, req->view.target,
              arena_vprintf(&scratch, fmt, ap));
    arena_release(&scratch);
}

void request_log(const struct request *req, enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    request_vlog(req, level, fmt, ap);
    va_end(ap);
}
