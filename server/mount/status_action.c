/*
 * status_action.c: who may change something by [status].
 *
 * A browser inside an allowed network sends whatever any page on the Internet tells it to, and adds the password that
 * it knows. So the request must show that it is of our own page:
 *
 * - It has a field that a page of another origin can only send after the browser has asked us, by OPTIONS, and we say
 *   405 to that.
 * - Sec-Fetch-Site, which no script can set, says same-origin. Browsers leave it out where there is no TLS; then Origin
 *   has to name the host that the request was sent to.
 * - A name that an attacker points at our address makes his page one of our origin. Without a password, which the
 *   browser would not give to that name, the host has to be an address or localhost.
 */
#include "mount/status_action.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define FIELD "X-Syncless-Action"

/* Whether a value of Origin names the host of the request. */
static bool is_own_origin(const struct sl_request *req, const char *origin)
{
    const char *host = strstr(origin, "://");

    return host && *req->host && !strcasecmp(host + 3, req->host);
}

static const char *foreign_refusal(const struct sl_request *req)
{
    const char *site = sl_find(req, "Sec-Fetch-Site"), *origin = sl_find(req, "Origin");

    if (site)
        return strcmp(site, "same-origin") ? "Sec-Fetch-Site is not same-origin: the request is of another page" : NULL;
    if (origin && !is_own_origin(req, origin))
        return "Origin is not the host of this request: it is of another page, or a proxy has changed Host";
    return NULL;
}

/* Whether the host is an address or localhost, for which no name server answers. */
static bool host_is_no_name(const struct sl_request *req)
{
    char host[INET6_ADDRSTRLEN + 1] = "";
    unsigned char address[sizeof(struct in6_addr)];
    uint16_t port;
    size_t size = sl_host(req, &port);

    if (size == 9 && !strncasecmp(req->host, "localhost", 9))
        return true;
    if (size == 0 || size >= sizeof(host))
        return false;
    if (*req->host == '[')
        return inet_pton(AF_INET6, memcpy(host, req->host + 1, size - 2), address) == 1;
    return inet_pton(AF_INET, memcpy(host, req->host, size), address) == 1;
}

const char *status_action_refusal(const struct sl_request *req, bool has_password)
{
    if (!sl_find(req, FIELD))
        return "the field " FIELD " is missing: it shows that no foreign page has sent the request";
    if (!has_password && !host_is_no_name(req))
        return "without auth in [status] this works only under an address or localhost: a foreign page could use a "
               "name";
    return foreign_refusal(req);
}
