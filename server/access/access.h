/* access.h: the access log: a line for each request, when it is over. */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "access/format.h"
#include "log/sink.h"

/* Open the log: target as of sink_open. 0 or -errno. The format is borrowed. */
int access_open(const char *target, const struct format *format);

/* From now on there is none. */
void access_close(void);

/* Its sink, or NULL if there is no access log. */
struct sink *access_sink(void);

/* Add the line of a request. Never waits. */
void access_log(const struct request *req);

/* Write the lines that came together in a turn of the loop. */
void access_flush(void);

#endif
