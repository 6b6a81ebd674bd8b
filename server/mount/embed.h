/* embed.h: serves a module on a socket that a program has opened, beside or without a configuration. */
#ifndef MOUNT_EMBED_H
#define MOUNT_EMBED_H

#include "settings/http.h"
#include "http/connection.h"
#include "syncless/serve.h"

/* Serve one instance of a module on a socket of a program's own, as sl_serve says; with the defaults of all settings
 * where route_http_init was not called. What is returned stays for the life of the process. NULL if its limits are
 * wrong: *why says so, to be freed. */
struct endpoint *embed_open(const struct sl_service *service, char **why);

/* Serve a connection that was accepted elsewhere, see sl_serve_connection. */
void embed_connection(struct endpoint *endpoint, int fd, const struct sockaddr *peer);

/* Accept no more, and close the connections of that endpoint when they have answered what they are at. */
void embed_close(struct endpoint *endpoint);

#endif
