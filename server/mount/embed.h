/* embed.h: serves a module on a socket that a program has opened, beside or without a configuration. */
#ifndef MOUNT_EMBED_H
#define MOUNT_EMBED_H

#include "http/connection.h"
#include "syncless/serve.h"

/* As sl_serve. Sets HTTP up with the defaults of all settings if route_http_init has not been called. The endpoint is
 * never freed. */
struct endpoint *embed_open(const struct sl_service *service, char **why);

/* As sl_serve_plain. */
struct endpoint *embed_plain(struct endpoint *of);

/* As sl_serve_connection. */
void embed_connection(struct endpoint *endpoint, int fd, const struct sockaddr *peer);

/* As sl_serve_end. */
void embed_close(struct endpoint *endpoint);

#endif
