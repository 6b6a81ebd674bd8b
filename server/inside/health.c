/*
 * health.c: whether this worker can take requests.
 *
 * That it answers shows that its event loop turns, and that its modules have started, or it would not listen. Besides,
 * it must not be about to stop, and requests must not queue for so long that a new one would hardly be served before
 * queue-timeout.
 */
#include "inside/health.h"

#include <stdbool.h>
#include <stddef.h>

#include "http/admission.h"

static bool draining;

void health_drain(void)
{
    draining = true;
}

const char *health_trouble(void)
{
    if (draining)
        return "draining: the server is about to stop";
    if (admission_is_late())
        return "full: requests queue for more than half of queue-timeout";
    return NULL;
}
