/*
 * forwarded.c: what proxies in front of the server say about the client: X-Forwarded-For, -Proto, -Host, -Prefix, and
 * Forwarded (RFC 7239).
 *
 * Each proxy appends the address of its peer. So the list of addresses is read from the right, as long as they are
 * those of trusted proxies. The first other one is the client, which may have made up everything to the left of it. The
 * other lists are read to the same depth, or to their leftmost element if they are shorter: most proxies overwrite
 * these fields and do not append.
 */
#include "http/proxy/forwarded.h"

#include <string.h>
#include <strings.h>

#include "http/request/target.h"
#include "http/request/token.h"

#define MAX_ELEMENTS 32 /* of a list that are looked at, the rightmost */

/* The elements of all fields of one name, from right to left. */
struct elements {
    struct span items[MAX_ELEMENTS];
    size_t count;
};

/* ---- lists ---- */

bool forwarded_trusts(const struct proxies *proxies, const struct in6_addr *ip)
{
    for (size_t i = 0; i < proxies->count; i++)
        if (network_has(&proxies->networks[i], ip))
            return true;
    return false;
}

/* The end of the element at `at`: the next comma outside of quotes, or the end of the field. NULL if a quote does not
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

/* Add the elements of a field but for the empty ones, RFC 9110 section 5.6.1.2. A quote that does not end may have been
 * opened by the client, and hold what the proxy has appended: it counts as an element without an address, which stops
 * the walk before it gets to what the client wrote. */
static void elements_add(struct elements *list, const struct sl_field *field, bool quotes)
{
    const char *at = field->value, *end = at + field->value_size, *stop;
    struct span found[MAX_ELEMENTS], element;
    size_t count = 0;

    do {
        stop = element_end(at, end, quotes);
        element = stop ? token_trim((struct span){at, (size_t)(stop - at)}) : (struct span){"\"", 1};
        if (element.size > 0)
            found[count++ % MAX_ELEMENTS] = element;
        at = stop ? stop + 1 : end;
    } while (stop && stop < end);
    for (size_t i = 0; i < count && i < MAX_ELEMENTS && list->count < MAX_ELEMENTS; i++)
        list->items[list->count++] = found[(count - 1 - i) % MAX_ELEMENTS];
}

/* Collect the elements of a field name. quotes: whether they may be quoted strings; only those of Forwarded may. */
static void elements_collect(struct elements *list, const struct request *req, const char *name, bool quotes)
{
    size_t size = strlen(name);

    list->count = 0;
    for (size_t i = req->view.field_count; i-- > 0;) {
        const struct sl_field *field = &req->view.fields[i];

        if (field->name_size == size && !strncasecmp(field->name, name, size))
            elements_add(list, field, quotes);
    }
}

/* The element at that depth from the right, or the leftmost; NULL if there is none. */
static const struct span *elements_at(const struct elements *list, size_t depth)
{
    if (list->count == 0)
        return NULL;
    return &list->items[depth < list->count ? depth : list->count - 1];
}

/* ---- the view ---- */

static void view_set_peer(struct request *req, const struct in6_addr *ip, uint16_t port)
{
    char *text = arena_alloc(&req->arena, INET6_ADDRSTRLEN);

    address_ip_text(ip, text);
    req->view.peer = text;
    req->view.peer_port = port;
}

static bool is_word(const struct span *value, const char *word)
{
    return value->size == strlen(word) && !strncasecmp(value->at, word, value->size);
}

/* Some proxies call the handshake of a WebSocket ws or wss, as browsers do. */
static void view_set_scheme(struct request *req, const struct span *value)
{
    if (value && (is_word(value, "https") || is_word(value, "wss")))
        req->view.scheme = "https";
    else if (value && (is_word(value, "http") || is_word(value, "ws")))
        req->view.scheme = "http";
}

static void view_set_host(struct request *req, const struct span *value)
{
    char *host;

    if (!value || value->size == 0)
        return;
    host = arena_strndup(&req->arena, value->at, value->size);
    if (target_is_host(host))
        target_set_host(req, host);
}

/* The path by which the proxy's clients reach our /. It becomes part of the mount. */
static void view_set_prefix(struct request *req, const struct span *value)
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

/* The value of a parameter of an element, without quotes; an empty span if there is none. */
static struct span find_parameter(struct request *req, const struct span *element, const char *name)
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
        pair = token_trim((struct span){at, (size_t)(next - at)});
        at = next + 1;
        if (pair.size <= size || pair.at[size] != '=' || strncasecmp(pair.at, name, size))
            continue;
        pair.at += size + 1;
        pair.size -= size + 1;
        if (pair.size >= 2 && *pair.at == '"')
            pair = (struct span){pair.at + 1, pair.size - 2};
        return memchr(pair.at, '\\', pair.size) ? (struct span){"", 0} : pair; /* no valid value needs one */
    }
    return (struct span){"", 0};
}

/* ---- all together ---- */

/* Go through the addresses as long as they are trusted. Returns how many elements were believed. */
static size_t walk_addresses(const struct proxies *proxies, struct request *req, const struct elements *list,
                             bool rfc7239)
{
    struct in6_addr ip;
    uint16_t port;
    size_t depth = 0;

    while (depth < list->count) {
        struct span item = list->items[depth];

        if (rfc7239)
            item = find_parameter(req, &item, "for");
        if (!address_parse_peer(&ip, &port, item.at, item.size))
            break;
        view_set_peer(req, &ip, port);
        depth++;
        if (!forwarded_trusts(proxies, &ip))
            break;
    }
    return depth;
}

static bool apply_rfc7239(const struct proxies *proxies, struct request *req)
{
    struct elements list;
    const struct span *element;
    struct span proto, host;
    size_t depth;

    elements_collect(&list, req, "Forwarded", true);
    if (list.count == 0)
        return false;
    depth = walk_addresses(proxies, req, &list, true);
    element = elements_at(&list, depth ? depth - 1 : 0);
    proto = find_parameter(req, element, "proto");
    host = find_parameter(req, element, "host");
    view_set_scheme(req, &proto);
    view_set_host(req, &host);
    return true;
}

/* The element at a depth of the list of a field, if the field is believed. */
static const struct span *believed_element(const struct proxies *proxies, struct request *req, struct elements *list,
                                           enum forwarded_field field, const char *name, size_t depth)
{
    if (!(proxies->fields & field))
        return NULL;
    elements_collect(list, req, name, false);
    return elements_at(list, depth);
}

static void apply_x_forwarded(const struct proxies *proxies, struct request *req)
{
    struct elements list;
    size_t depth = 0;

    if (believed_element(proxies, req, &list, FORWARDED_FOR, "X-Forwarded-For", 0))
        depth = walk_addresses(proxies, req, &list, false);
    depth -= depth > 0;
    view_set_scheme(req, believed_element(proxies, req, &list, FORWARDED_PROTO, "X-Forwarded-Proto", depth));
    view_set_host(req, believed_element(proxies, req, &list, FORWARDED_HOST, "X-Forwarded-Host", depth));
    view_set_prefix(req, believed_element(proxies, req, &list, FORWARDED_PREFIX, "X-Forwarded-Prefix", depth));
}

/* Not inlined: a request that waits would keep the lists in its frame. */
__attribute__((noinline)) void forwarded_apply(const struct proxies *proxies, struct request *req)
{
    struct elements list;
    const struct span *id = believed_element(proxies, req, &list, FORWARDED_ID, "X-Request-ID", 0);

    if (id && token_is(id->at, id->size) && id->size <= 128)
        req->id = arena_strndup(&req->arena, id->at, id->size);
    if (!(proxies->fields & FORWARDED) || !apply_rfc7239(proxies, req))
        apply_x_forwarded(proxies, req);
}
