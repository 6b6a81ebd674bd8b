/* gate.h: how many requests of a mount run at once. */
#ifndef HTTP_GATE_H
#define HTTP_GATE_H

#include <stddef.h>

#include "http/admission.h"

struct gate {
    size_t max, running;   /* requests */
    int64_t queue_timeout; /* milliseconds in the queue; 0: no limit */
    const char *title;     /* of the section, for messages */
    struct list queue;
};

/* title is borrowed. */
void gate_init(struct gate *gate, size_t max, int64_t queue_timeout, const char *title);

/* On the coroutine of a request: wait until it may run. The permit is given back while it waits. Returns 0; -ETIMEDOUT,
 * or another error of the wait: then it must not run. The permit is held as before in any case. */
int gate_enter(struct gate *gate, struct permit *permit);

/* The request is over. */
void gate_leave(struct gate *gate);

#endif
