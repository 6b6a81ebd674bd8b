/*
 * fuzz_proxy.c: the address of the client: PROXY headers, and forwarded fields that the client sent itself.
 *
 * A PROXY header gives the same result in any number of pieces; version 1, which is text, is also parsed by sscanf. For
 * forwarded fields the input is what an attacker sends, and a trusted proxy appends its element as nginx does: only
 * that element may be believed.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/proxy/forwarded.h"
#include "http/request/head.h"
#include "http/proxy/proxy.h"
#include "http/request/target.h"
#include "http/request/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- PROXY ---- */

/* Parse a copy in memory of exactly that size, so that the sanitizer notices reads behind its end. */
static ssize_t parse(struct proxy_header *header, const uint8_t *data, size_t size)
{
    char *copy = malloc(size);
    ssize_t result;

    memcpy(copy, data, size);
    result = proxy_parse(header, copy, size);
    free(copy);
    assert(result == -EBADMSG || (result >= 0 && (size_t)result <= size && result <= PROXY_MAX));
    return result;
}

static void check_line(const struct proxy_header *header, const uint8_t *data, size_t size)
{
    const struct sockaddr_in *v4 = &header->peer.in;
    char line[128] = "", source[46], found[INET6_ADDRSTRLEN];
    struct in_addr expected;
    unsigned port, to;

    if (size < 6 || memcmp(data, "PROXY ", 6) || header->peer.any.sa_family != AF_INET)
        return;
    memcpy(line, data, size);
    assert(sscanf(line, "PROXY TCP4 %45s %45s %u %u", source, found, &port, &to) == 4);
    assert(inet_pton(AF_INET, source, &expected) == 1);
    assert(expected.s_addr == v4->sin_addr.s_addr && port == ntohs(v4->sin_port) && to <= 65535);
}

static void check_proxy(const uint8_t *data, size_t size, size_t cut)
{
    struct proxy_header whole, part;
    ssize_t result = parse(&whole, data, size), before = parse(&part, data, cut);

    if (before > 0)
        assert(result == before && !memcmp(&whole, &part, sizeof(whole)));
    else
        assert(before == 0 ? result == -EBADMSG || result == 0 || (size_t)result > cut : result == -EBADMSG);
    if (result <= 0)
        return;
    assert(whole.peer.any.sa_family == AF_UNSPEC || whole.peer.any.sa_family == AF_INET ||
           whole.peer.any.sa_family == AF_INET6);
    check_line(&whole, data, (size_t)result);
}

/* ---- forwarded fields ---- */

static void check_view(const struct request *req)
{
    struct in6_addr address;
    const char *host = NULL;
    uint16_t port;

    assert(!*req->view.peer || address_parse_peer(&address, &port, req->view.peer, strlen(req->view.peer)));
    assert(!strcmp(req->view.scheme, "http") || !strcmp(req->view.scheme, "https"));
    assert(target_is_host(req->view.host));
    for (size_t i = 0; i < req->view.field_count; i++)
        if (!strcasecmp(req->view.fields[i].name, "host"))
            host = req->view.fields[i].value;
    assert(host && !strcmp(host, req->view.host));
    assert(!req->prefix || !*req->prefix || (*req->prefix == '/' && req->prefix[1] != '/'));
    assert(!req->id || (token_is(req->id, strlen(req->id)) && strlen(req->id) <= 128));
}

/* Parse a head with data between two texts, apply the forwarded fields, and call check on the result. */
static void forward(const char *before, const uint8_t *data, size_t size, const char *after, unsigned fields,
                    void (*check)(const struct request *req))
{
    struct network network;
    struct proxies proxies = {&network, 1, false, fields};
    struct request req = {.view = {.peer = "", .scheme = "http"}};
    struct head_scan scan = {0};
    size_t room = strlen(before) + size + strlen(after) + 64;
    char *head = malloc(room), *end = stpcpy(stpcpy(head, "GET / HTTP/1.1\r\nHost: test\r\n"), before);
    const char *why;

    network_parse(&network, "10.0.0.0/8");
    end = stpcpy(mempcpy(end, data, size), after);
    end = stpcpy(end, "\r\n\r\n");
    arena_init(&req.arena);
    if (head_find(head, (size_t)(end - head), &scan) == (size_t)(end - head) &&
        head_parse(&req, head, (size_t)(end - head), scan.lines, &why) == 0) {
        forwarded_apply(&proxies, &req);
        check_view(&req);
        check(&req);
    }
    arena_release(&req.arena);
    free(head);
}

static void check_nothing(const struct request *req)
{
}

static void check_x_forwarded(const struct request *req)
{
    assert(!strcmp(req->view.peer, "192.0.2.1"));
}

/* If the client opens a quote, the appended element may end up inside of it: then nothing is believed. */
static void check_forwarded(const struct request *req)
{
    assert(!*req->view.peer || !strcmp(req->view.peer, "192.0.2.1"));
    assert(!strcmp(req->view.scheme, "http"));
    assert(!strcmp(req->view.host, *req->view.peer ? "proxy" : "test"));
}

static void check_fields(const uint8_t *data, size_t size)
{
    forward("", data, size, "", FORWARDED_ALL, check_nothing);
    if (memchr(data, '\r', size) || memchr(data, '\0', size))
        return;
    forward("X-Forwarded-For: ", data, size, ", 192.0.2.1", FORWARDED_FOR, check_x_forwarded);
    forward("Forwarded: ", data, size, ", for=192.0.2.1;host=proxy", FORWARDED, check_forwarded);
    forward("Forwarded: ", data, size, "\r\nForwarded: for=\"192.0.2.1:80\";host=\"proxy\"", FORWARDED,
            check_forwarded);
}

/* ---- libFuzzer's side ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return -1;
    check_proxy(data + 1, size - 1, data[0] % size);
    check_fields(data + 1, size - 1);
    return 0;
}
