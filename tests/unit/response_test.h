/*
 * response_test.h: a response, and what the client has received of it. The socket keeps messages apart, so each receive
 * returns what one send has sent.
 */
#ifndef RESPONSE_TEST_H
#define RESPONSE_TEST_H

#include "http_test.h"

#include "http/response/response.h"

static struct scene scene;

static inline void begin(const char *method, int minor, bool keep_alive)
{
    scene_open(&scene, SOCK_SEQPACKET);
    scene.req.view.method = method;
    scene.req.view.target = "/";
    scene.req.view.http_minor = minor;
    scene.req.keep_alive = keep_alive;
    scene.req.body_done = true;
}

static char text[65536];

/* What was sent next, as one send; NULL if nothing was. */
static inline char *taken(void)
{
    return client_take(&scene, text, sizeof(text)) > 0 ? text : NULL;
}

static inline int header(const char *name, const char *value)
{
    return response_header(&scene.req, name, strlen(name), value, strlen(value));
}

static inline int say(const char *s)
{
    return response_write(&scene.req, s, strlen(s));
}

#endif
