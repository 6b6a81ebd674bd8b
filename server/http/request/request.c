/*
 * request.c: the id of a request, and its lines in the error log.
 *
 * 128 bits of which nobody can guess another's matter little here, but that no two of a site are the same does: so a
 * random start for each process and a counter, through a bijection that makes them look alike no more (splitmix64).
 */
#include "http/request/request.h"

#include <sys/random.h>

#include "log/log.h"

static uint64_t start[2], count;

void request_init_ids(void)
{
    if (getrandom(start, sizeof(start), 0) != sizeof(start))
        log_die("cannot get random bytes for the ids of requests: %m");
}

static uint64_t mix(uint64_t n)
{
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

const char *request_id(const struct request *const_req)
{
    struct request *req = (struct request *)const_req; /* what is made late is none the less a fact */
    uint64_t n;

    if (req->id)
        return req->id;
    n = ++count * UINT64_C(0x9e3779b97f4a7c15);
    req->id = arena_printf(&req->arena, "%016llx%016llx", (unsigned long long)mix(start[0] + n),
                           (unsigned long long)mix(start[1] + n));
    return req->id;
}

void request_vlog(const struct request *req, enum log_level level, const char *fmt, va_list ap)
{
    struct arena scratch;

    if (!log_enabled(level))
        return;
    arena_init(&scratch);
    log_write(level, "rid=%s %s %s: %s", request_id(req), req->view.method, req->view.target,
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
