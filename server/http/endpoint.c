/* endpoint.c: an address that clients connect to, and who answers there. */
#include "http/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "log/log.h"

struct endpoint *endpoint_open(int fd, const struct listener_handler *handler)
{
    struct endpoint *endpoint = xcalloc(1, sizeof(*endpoint));
    union address address;
    int err = address_of_socket(&address, fd);

    if (err)
        log_die("cannot tell the address of listen socket %d: %s", fd, strerror(-err));
    address_text(&address.any, endpoint->address, sizeof(endpoint->address), &endpoint->port);
    endpoint->wildcard = address_is_wildcard(&address);
    endpoint->scheme = "http";
    endpoint->users = 1;
    endpoint->listener.source.fd = -1;
    if (handler)
        listener_open(&endpoint->listener, fd, handler);
    return endpoint;
}

struct endpoint *endpoint_twin(struct endpoint *of)
{
    struct endpoint *endpoint = xcalloc(1, sizeof(*endpoint));

    memcpy(endpoint->address, of->address, sizeof(endpoint->address));
    endpoint->port = of->port;
    endpoint->scheme = of->scheme;
    endpoint->mount = of->mount;
    endpoint->users = 1;
    endpoint->of = of;
    endpoint->listener.source.fd = -1;
    of->users++;
    return endpoint;
}

void endpoint_close(struct endpoint *endpoint)
{
    endpoint->closed = true;
    listener_close(&endpoint->listener);
}

const char *endpoint_local_address(const struct endpoint *endpoint, int fd)
{
    char text[ADDRESS_TEXT_SIZE];
    union address address;
    uint16_t port;

    if (!endpoint->wildcard || address_of_socket(&address, fd) < 0)
        return endpoint->address;
    address_text(&address.any, text, sizeof(text), &port);
    return xstrdup(text);
}

void endpoint_local_address_end(const struct endpoint *endpoint, const char *address)
{
    if (address != endpoint->address)
        free((char *)address);
}

void endpoint_leave(struct endpoint *endpoint)
{
    if (--endpoint->users == 0 && endpoint->unused)
        endpoint->unused(endpoint);
}
