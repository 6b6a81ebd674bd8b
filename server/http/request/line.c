/*
 * line.c: the first line of a request, RFC 9112 section 3.
 *
 * It is read here and not by llhttp. llhttp's strict build refuses raw UTF-8 in a target, which clients send and nginx
 * passes on; and it has one error for a method that it does not know (501), a malformed one (400) and a version of
 * another kind (505). The line is three words with one space between them, so little is left to go wrong. What is known
 * as a method is llhttp's table, but for CONNECT: its 2xx answers have no body and end HTTP (RFC 9110 section 9.3.6),
 * so a handler that took it for any other method would let a proxy before us lose track.
 */
#include "http/request/line.h"

#include <llhttp.h>
#include <string.h>

#include "http/request/token.h"

struct method {
    const char *name;
    size_t size;
};

#define METHOD(number, name, string) [number] = {#string, sizeof(#string) - 1},
static const struct method methods[] = {HTTP_METHOD_MAP(METHOD)};
#undef METHOD

static const char *known_method(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
        if (methods[i].size == size && !memcmp(methods[i].name, name, size))
            return i == HTTP_CONNECT ? NULL : methods[i].name;
    return NULL;
}

static int parse_method(struct request *req, const char *word, size_t size, const char **why)
{
    req->view.method = known_method(word, size);
    if (req->view.method)
        return 0;
    req->view.method = "";
    *why = "the server does not know the method";
    return 501;
}

/* Whether the version is one of HTTP, if none of ours: HTTP/digit.digit. */
static int parse_version(struct request *req, const char *word, size_t size, const char **why)
{
    *why = "the request line does not end with a version of HTTP";
    if (size != 8 || memcmp(word, "HTTP/", 5) || word[6] != '.' || !token_is_digit(word[5]) || !token_is_digit(word[7]))
        return 400;
    *why = "the server speaks HTTP/1.0 and HTTP/1.1";
    if (word[5] != '1' || word[7] > '1')
        return 505;
    req->view.http_minor = word[7] - '0';
    return 0;
}

/* The end of the target: the first byte that is none of it. Bytes above ASCII are, as raw UTF-8. */
static char *target_end(char *at)
{
    while ((unsigned char)*at > ' ' && *at != 0x7f)
        at++;
    return at;
}

int line_parse(struct request *req, char *head, char **next, const char **why)
{
    char *target = token_end(head), *version, *end;
    int status;

    *why = "the request line is not: method, space, target, space, version";
    if (target == head || *target++ != ' ')
        return 400;
    version = target_end(target);
    if (version == target)
        return 400;
    if (*target == '/' && version[0] == '\r' && version[1] == '\n') { /* HTTP/0.9 */
        *why = "the request line has no version";
        return 505;
    }
    if (*version != ' ')
        return 400;
    req->view.target = target;
    *version++ = '\0';
    end = target_end(version);
    if (end[0] != '\r' || end[1] != '\n')
        return 400;
    *next = end + 2;
    status = parse_version(req, version, (size_t)(end - version), why);
    return status ? status : parse_method(req, head, (size_t)(target - 1 - head), why);
}
