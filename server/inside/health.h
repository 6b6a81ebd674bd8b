/* health.h: whether this worker can take requests. */
#ifndef INSIDE_HEALTH_H
#define INSIDE_HEALTH_H

/* From now on it is about to stop, and says so, though it still serves. */
void health_drain(void);

/* What a worker without trouble answers to ASK_READY. */
#define READY "ready"

/* Returns why nobody should send it requests, a static text; NULL: it is ready. On the loop's thread. */
const char *health_trouble(void);

#endif
