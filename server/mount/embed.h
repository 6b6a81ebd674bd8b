/* embed.h: HTTP set up as the configuration has it, or for a program that has none. */
#ifndef SERVE_H
#define SERVE_H

#include "settings/http.h"
#include "http/connection.h"
#include "syncless.h"

/* Once in a process that serves. ended: as http_config.ended. s is kept. */
void serve_init(const struct http_settings *s, void (*ended)(const struct request *req));

/* Serve one instance of a module on a socket of a program's own, as sl_serve says; with the defaults of all settings
 * where serve_init was not called. What is returned stays for the life of the process. NULL if its limits are wrong:
 * *why says so, to be freed. */
struct endpoint *serve_open(const struct sl_service *service, char **why);

/* Serve a connection that was accepted elsewhere, see sl_serve_connection. */
void serve_connection(struct endpoint *endpoint, int fd, const struct sockaddr *peer);

/* Accept no more, and close the connections of that endpoint when they have answered what they are at. */
void serve_close(struct endpoint *endpoint);

#endif
