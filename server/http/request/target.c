/*
 * target.c: the request-target, RFC 9112 section 3.2: origin form, absolute form and asterisk form.
 *
 * The path is percent-decoded once, here, so that routing and every module see the same one; dot segments stay as they
 * are, since only a module knows whether its paths name files. %00 is refused: no path that is used may be cut by a
 * NUL.
 */
#include "http/request/target.h"

#include <string.h>
#include <strings.h>

#include "http/request/token.h"

/* Decode from[0..size) into to, which has room for size + 1 bytes. Returns whether it was well-formed. */
static bool percent_decode(char *to, const char *from, size_t size)
{
    const char *end = from + size;

    while (from < end) {
        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        if (end - from < 3 || token_hex(from[1]) < 0 || token_hex(from[2]) < 0)
            return false;
        *to = (char)(token_hex(from[1]) << 4 | token_hex(from[2]));
        if (!*to++)
            return false;
        from += 3;
    }
    *to = '\0';
    return true;
}

void target_set_host(struct request *req, const char *host)
{
    struct sl_field *fields = (struct sl_field *)req->view.fields;

    req->view.host = host;
    for (size_t i = 0; i < req->view.field_count; i++)
        if (fields[i].name_size == 4 && !strncasecmp(fields[i].name, "host", 4)) {
            fields[i].value = host;
            fields[i].value_size = (uint32_t)strlen(host);
        }
}

/* http://host:port/path?query: set the host and return the rest, or NULL. */
static const char *split_authority(struct request *req, const char *target)
{
    const char *host = strstr(target, "://"), *end;

    if (!host || (strncasecmp(target, "http://", 7) && strncasecmp(target, "https://", 8)))
        return NULL;
    host += 3;
    end = host + strcspn(host, "/?");
    if (end == host)
        return NULL;
    target_set_host(req, arena_strndup(&req->arena, host, (size_t)(end - host)));
    return end;
}

static const bool host_bytes[256] = {
    ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['0' ... '9'] = 1, ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['!'] = 1,
    ['$'] = 1,         ['&'] = 1,         ['\''] = 1,        ['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1, [','] = 1,
    [';'] = 1,         ['='] = 1,         ['%'] = 1,         [':'] = 1, ['['] = 1, [']'] = 1,
};

/* RFC 3986 section 3.2.2, and a port. Applications make links and look for tenants by it, so nothing else comes in. */
bool target_is_host(const char *host)
{
    while (host_bytes[(unsigned char)*host])
        host++;
    return *host == '\0';
}

int target_parse(struct request *req, const char **why)
{
    const char *target = req->view.target, *query;
    size_t size;
    char *path;

    if (*target != '/') {
        if (!strcmp(target, "*") && !strcmp(req->view.method, "OPTIONS")) {
            req->view.path = "*";
            return 0;
        }
        target = split_authority(req, target);
        *why = "the request-target has none of the forms of RFC 9112 section 3.2";
        if (!target)
            return 400;
    }
    *why = "the request-target has a fragment";
    if (strchr(target, '#'))
        return 400;
    *why = "the host has bytes that no host name has";
    if (!target_is_host(req->view.host))
        return 400;
    query = strchrnul(target, '?');
    size = (size_t)(query - target);
    req->view.query = *query ? query + 1 : query;
    if (size == 0) { /* an absolute form without a path */
        req->view.path = "/";
        return 0;
    }
    if (!*query && !memchr(target, '%', size)) { /* it may stay where it is */
        req->view.path = target;
        return 0;
    }
    path = arena_alloc(&req->arena, size + 1);
    req->view.path = path;
    *why = "the path has a bad percent-encoding";
    return percent_decode(path, target, size) ? 0 : 400;
}
