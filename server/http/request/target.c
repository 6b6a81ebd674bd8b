/*
 * target.c: the request-target, RFC 9112 section 3.2: origin form, absolute form and asterisk form.
 *
 * The path is percent-decoded once, here, so that routing and all modules see the same one. Dot segments stay: only a
 * module knows whether its paths are file names. %00 is refused, since a NUL would cut the path short.
 */
#include "http/request/target.h"

#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "http/request/token.h"

/* Decode from[0..size) into to, which has size + 1 bytes. Returns false if it is malformed. */
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

size_t target_host_size(const struct sl_request *view, uint16_t *port)
{
    const char *host = view->host, *bracket = *host == '[' ? strchr(host, ']') : NULL;
    size_t size = bracket ? (size_t)(bracket + 1 - host) : strcspn(host, ":");

    if (host[size] != ':' || !address_parse_port(port, host + size + 1) || *port == 0)
        *port = strcmp(view->scheme, "https") ? 80 : 443;
    return size;
}

/* The bytes of a reg-name, RFC 3986 section 3.2.2, but for the comma: a list of two hosts is not one. */
static const bool host_bytes[256] = {
    ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['0' ... '9'] = 1, ['-'] = 1, ['.'] = 1,  ['_'] = 1,
    ['~'] = 1,         ['!'] = 1,         ['$'] = 1,         ['&'] = 1, ['\''] = 1, ['('] = 1,
    [')'] = 1,         ['*'] = 1,         ['+'] = 1,         [';'] = 1, ['='] = 1,
};

/* The end of a host name or IPv4 address. */
static const char *name_end(const char *at)
{
    for (;; at += 3) {
        while (host_bytes[(unsigned char)*at])
            at++;
        if (*at != '%' || token_hex(at[1]) < 0 || token_hex(at[2]) < 0)
            return at;
    }
}

/* The end of an IPv6 address in brackets, or `at` if there is none. */
static const char *bracket_end(const char *at)
{
    const char *end = strchr(at, ']');
    struct in6_addr ip;
    uint16_t port;

    return end && address_parse_peer(&ip, &port, at, (size_t)(end + 1 - at)) ? end + 1 : at;
}

/* Whether a text is empty or a port from 1 to 65535. */
static bool is_port(const char *at)
{
    unsigned port = *at ? 0 : 1;

    for (; token_is_digit(*at) && port <= 65535; at++)
        port = port * 10 + (unsigned)(*at - '0');
    return *at == '\0' && port > 0 && port <= 65535;
}

/* Applications make links of the host and choose tenants by it, so nothing else gets in. */
bool target_is_host(const char *host)
{
    const char *end = *host == '[' ? bracket_end(host) : name_end(host);

    if (*end == '\0')
        return true;
    return *end == ':' && end > host && is_port(end + 1);
}

/* http://host:port/path?query: set the host. Returns what follows it, or NULL if target has another form. A Host field
 * must have been valid too, RFC 9112 section 3.2. */
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
    return target_is_host(req->view.host) ? end : NULL;
}

/* Set path and query from an origin-form target. The path stays in place unless it has to be decoded or terminated. */
static int split_path(struct request *req, const char *target, const char **why)
{
    const char *query = strchrnul(target, '?');
    size_t size = (size_t)(query - target);
    char *path;

    req->view.query = *query ? query + 1 : query;
    if (size == 0) { /* an absolute form without a path */
        req->view.path = "/";
        return 0;
    }
    if (!*query && !memchr(target, '%', size)) {
        req->view.path = target;
        return 0;
    }
    path = arena_alloc(&req->arena, size + 1);
    req->view.path = path;
    return percent_decode(path, target, size) ? 0 : refusal(400, "the path has a bad percent-encoding", why);
}

int target_parse(struct request *req, const char **why)
{
    const char *target = req->view.target;

    if (*target != '/') {
        if (!strcmp(target, "*") && !strcmp(req->view.method, "OPTIONS")) {
            req->view.path = "*";
            return 0;
        }
        target = split_authority(req, target);
        if (!target)
            return refusal(400, "the request-target has none of the forms of RFC 9112 section 3.2", why);
    }
    if (strchr(target, '#'))
        return refusal(400, "the request-target has a fragment", why);
    return split_path(req, target, why);
}
