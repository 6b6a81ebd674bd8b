/*
 * forwarded.c: what proxies in front of the server say of the client: X-Forwarded-For, -Proto, -Host, -Prefix, and
 * Forwarded (RFC 7239).
 *
 * Each proxy appends the address of whom it got the request from. So the lists are read from the right, as far as the
 * addresses are those of trusted proxies; the first other one is the client, and whatever stands to the left of it the
 * client may have made up. The other lists are read to the same depth, or to their leftmost element if they are
 * shorter, since most proxies overwrite those and do not append.
 */
#include "http/proxy/forwarded.h"

#include <string.h>
#include <strings.h>

#include "http/request/target.h"
#include "http/request/token.h"

#define MOST 32 /* elements of a list that are looked at, the rightmost */

/* The elements of all fields of one name, from right to left. */
struct list_of {
    struct span items[MOST];
    size_t count;
};

/* ---- lists ---- */

bool forwarded_trusts(const struct proxies *proxies, const struct in6_addr *address)
{
    for (size_t i = 0; i < proxies->count; i++)
        if (network_has(&proxies->networks[i], address))
            return true;
    return false;
}

static struct span trim(const char *at, size_t size)
{
    while (size > 0 && (*at == ' ' || *at == '\t')) {
        at++;
        size--;
    }
    while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t'))
        size--;
    return (struct span){at, size};
}

/* The end of the element at at: the next comma outside of quotes, or the end of the field; NULL if a quote does not
 * end.
 */
static const char *element_end(const char *at, const char *end, bool quotes)
{
    for (; at < end && *at != ','; at++) {
        if (*at != '"' || !quotes)
            continue;
        for (at++; at < end && *at != '"'; at++)
            at += *at == '\\' && at + 1 < end;
        if (at == end)
            return NULL;
    }
    return at;
}

/* Add the elements of one field. A quote that does not end may have been opened by the client, and hold what the proxy
 * has appended: the element is an empty one then, which stops the walk before it gets to the client's own words. */
static void split(struct list_of *list, const struct sl_field *field, bool quotes)
{
    const char *at = field->value, *end = at + field->value_size, *stop;
    struct span found[MOST];
    size_t count = 0;

    do {
        stop = element_end(at, end, quotes);
        found[count++ % MOST] = stop ? trim(at, (size_t)(stop - at)) : (struct span){"", 0};
        at = stop ? stop + 1 : end;
    } while (stop && stop < end);
    for (size_t i = 0; i < count && i < MOST && list->count < MOST; i++)
        list->items[list->count++] = found[(count - 1 - i) % MOST];
}

/* quotes: whether elements may have some; only those of Forwarded do. */
static void collect(struct list_of *list, const struct request *req, const char *name, bool quotes)
{
    size_t size = strlen(name);

    list->count = 0;
    for (size_t i = req->view.field_count; i-- > 0;) {
        const struct sl_field *field = &req->view.fields[i];

        if (field->name_size == size && !strncasecmp(field->name, name, size))
            split(list, field, quotes);
    }
}

/* The element at that depth from the right, or the leftmost; NULL if there is none. */
static const struct span *at_depth(const struct list_of *list, size_t depth)
{
    if (list->count == 0)
        return NULL;
    return &list->items[depth < list->count ? depth : list->count - 1];
}

/* ---- the view ---- */

static void set_peer(struct request *req, const struct in6_addr *address, uint16_t port)
{
    char *text = arena_alloc(&req->arena, INET6_ADDRSTRLEN);

    address_ip_text(address, text);
    req->view.peer = text;
    req->view.peer_port = port;
}

static void set_scheme(struct request *req, const struct span *value)
{
    if (value && value->size == 5 && !strncasecmp(value->at, "https", 5))
        req->view.scheme = "https";
    else if (value && value->size == 4 && !strncasecmp(value->at, "http", 4))
        req->view.scheme = "http";
}

static void set_host(struct request *req, const struct span *value)
{
    char *host;

    if (!value || value->size == 0)
        return;
    host = arena_strndup(&req->arena, value->at, value->size);
    if (target_is_host(host))
        target_set_host(req, host);
}

/* The path by which the proxy's clients reach what we serve at /; it becomes part of the mount. */
static void set_prefix(struct request *req, const struct span *value)
{
    char *prefix;
    size_t size;

    if (!value || value->size == 0 || *value->at != '/')
        return;
    size = value->size;
    while (size > 0 && value->at[size - 1] == '/')
        size--;
    prefix = arena_strndup(&req->arena, value->at, size);
    if (strncmp(prefix, "//", 2) && !strpbrk(prefix, "?#\\ \t%"))
        req->prefix = prefix;
}

/* ---- Forwarded ---- */

/* The value of one parameter of an element, without its quotes; an empty span if it has none. */
static struct span parameter(struct request *req, const struct span *element, const char *name)
{
    const char *at = element->at, *end = at + element->size;
    size_t size = strlen(name);

    while (at < end) {
        const char *next = at;
        bool quoted = false;
        struct span pair;

        for (; next < end && (quoted || *next != ';'); next++) {
            if (*next == '\\' && quoted && next + 1 < end)
                next++;
            else if (*next == '"')
                quoted = !quoted;
        }
        pair = trim(at, (size_t)(next - at));
        at = next + 1;
        if (pair.size <= size || pair.at[size] != '=' || strncasecmp(pair.at, name, size))
            continue;
        pair.at += size + 1;
        pair.size -= size + 1;
        if (pair.size >= 2 && *pair.at == '"')
            pair = (struct span){pair.at + 1, pair.size - 2};
        return memchr(pair.at, '\\', pair.size) ? (struct span){"", 0} : pair; /* nothing we take needs one */
    }
    return (struct span){"", 0};
}

/* ---- all together ---- */

/* Walk up the addresses as far as they are trusted. Returns how many elements were believed. */
static size_t walk(const struct proxies *proxies, struct request *req, const struct list_of *list, bool rfc7239)
{
    struct in6_addr address;
    uint16_t port;
    size_t depth = 0;

    while (depth < list->count) {
        struct span item = list->items[depth];

        if (rfc7239)
            item = parameter(req, &item, "for");
        if (!address_parse_peer(&address, &port, item.at, item.size))
            break;
        set_peer(req, &address, port);
        depth++;
        if (!forwarded_trusts(proxies, &address))
            break;
    }
    return depth;
}

static bool apply_rfc7239(const struct proxies *proxies, struct request *req)
{
    struct list_of list;
    const struct span *element;
    struct span proto, host;
    size_t depth;

    collect(&list, req, "Forwarded", true);
    if (list.count == 0)
        return false;
    depth = walk(proxies, req, &list, true);
    element = at_depth(&list, depth ? depth - 1 : 0);
    proto = parameter(req, element, "proto");
    host = parameter(req, element, "host");
    set_scheme(req, &proto);
    set_host(req, &host);
    return true;
}

/* The element of a list to believe, if the list is to be looked at at all. */
static const struct span *believed(const struct proxies *proxies, struct request *req, struct list_of *list,
                                   enum forwarded_field field, const char *name, size_t depth)
{
    if (!(proxies->fields & field))
        return NULL;
    collect(list, req, name, false);
    return at_depth(list, depth);
}

static void apply_x_forwarded(const struct proxies *proxies, struct request *req)
{
    struct list_of list;
    size_t depth = 0;

    if (believed(proxies, req, &list, FORWARDED_FOR, "X-Forwarded-For", 0))
        depth = walk(proxies, req, &list, false);
    depth -= depth > 0;
    set_scheme(req, believed(proxies, req, &list, FORWARDED_PROTO, "X-Forwarded-Proto", depth));
    set_host(req, believed(proxies, req, &list, FORWARDED_HOST, "X-Forwarded-Host", depth));
    set_prefix(req, believed(proxies, req, &list, FORWARDED_PREFIX, "X-Forwarded-Prefix", depth));
}

void forwarded_apply(const struct proxies *proxies, struct request *req)
{
    struct list_of list;
    const struct span *id = believed(proxies, req, &list, FORWARDED_ID, "X-Request-ID", 0);

    if (id && token_is(id->at, id->size) && id->size <= 128)
        req->id = arena_strndup(&req->arena, id->at, id->size);
    if (!(proxies->fields & FORWARDED) || !apply_rfc7239(proxies, req))
        apply_x_forwarded(proxies, req);
}
