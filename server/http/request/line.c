/*
 * line.c: the first line of a request, RFC 9112 section 3.
 *
 * It is parsed here, not by llhttp. llhttp's strict build refuses raw UTF-8 in a target, which clients send and nginx
 * passes on, and has one error for an unknown method (501), a malformed one (400) and another version (505). The line
 * is three words with one space between them, so there is little to get wrong. Any token is a method except CONNECT: a
 * 2xx response to it has no body and ends HTTP (RFC 9110 section 9.3.6), so a proxy in front of us would lose track if
 * a handler treated it as any other method. Those of llhttp's table are not copied.
 *
 * What has been read of a line stays in the request when the line is refused, for the access log.
 */
#include "http/request/line.h"

#include <llhttp.h>
#include <string.h>

#include "base/array.h"
#include "http/request/token.h"

struct method {
    const char *name;
    size_t size;
};

#define METHOD(number, name, string) [number] = {#string, sizeof(#string) - 1},
static const struct method methods[] = {HTTP_METHOD_MAP(METHOD)};
#undef METHOD

static const char *find_method(const char *name, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (methods[i].size == size && !memcmp(methods[i].name, name, size))
            return methods[i].name;
    return NULL;
}

static void set_method(struct request *req, const char *word, size_t size)
{
    req->view.method = find_method(word, size);
    if (!req->view.method)
        req->view.method = arena_strndup(&req->arena, word, size);
}

/* HTTP/digit.digit, of which we speak 1.0 and 1.1. Later minor versions are served as 1.1, RFC 9110 section 2.5. */
static int parse_version(struct request *req, const char *word, size_t size, const char **why)
{
    if (size != 8 || memcmp(word, "HTTP/", 5) || word[6] != '.' || !token_is_digit(word[5]) || !token_is_digit(word[7]))
        return refusal(400, "the request line does not end with an HTTP version", why);
    if (word[5] != '1')
        return refusal(505, "only HTTP/1.0 and HTTP/1.1 are supported", why);
    req->view.http_minor = word[7] > '0';
    return 0;
}

/* The first byte that is no part of a target. Bytes above ASCII are parts, as raw UTF-8. */
static char *target_end(char *at)
{
    while ((unsigned char)*at > ' ' && *at != 0x7f)
        at++;
    return at;
}

int line_parse(struct request *req, char *head, char **next, const char **why)
{
    static const char malformed[] = "the request line is not: method, space, target, space, version";
    char *target = token_end(head), *version, *end;
    int status;

    if (target == head || *target != ' ')
        return refusal(400, malformed, why);
    set_method(req, head, (size_t)(target++ - head));
    version = target_end(target);
    if (*target == '/' && version[0] == '\r' && version[1] == '\n') /* HTTP/0.9 */
        return refusal(505, "the request line has no version", why);
    if (version == target || *version != ' ')
        return refusal(400, malformed, why);
    req->view.target = target;
    *version++ = '\0';
    end = target_end(version);
    if (end[0] != '\r' || end[1] != '\n')
        return refusal(400, malformed, why);
    *next = end + 2;
    *end = '\0';
    req->version = version;
    status = parse_version(req, version, (size_t)(end - version), why);
    if (!status && req->view.method == methods[HTTP_CONNECT].name)
        return refusal(501, "this is no proxy for CONNECT", why);
    return status;
}

void line_note(struct request *req, char *head, size_t size)
{
    const char *space = memchr(head, ' ', size), *why;
    char *next;

    if (memchr(head, '\n', size))
        line_parse(req, head, &next, &why);
    else if (space && token_is(head, (size_t)(space - head)))
        set_method(req, head, (size_t)(space - head));
}
