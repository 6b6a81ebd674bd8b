/* access.h: the access log: a line for each request, written when it is over. */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "access/format.h"
#include "log/sink.h"

/* Open the log; target is as in sink_open, format is borrowed. Returns 0 or -errno. */
int access_open(const char *target, const struct format *format);

/* From now on there is no access log. */
void access_close(void);

/* Its sink, or NULL if there is no access log. */
struct sink *access_sink(void);

/* Add the line of a request. Never waits. */
void access_log(const struct request *req);

/* Write the lines gathered in an iteration of the event loop. */
void access_flush(void);

#endif
