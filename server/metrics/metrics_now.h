/* metrics_now.h: what the requests of this worker do, and where their time goes. */
#ifndef METRICS_METRICS_NOW_H
#define METRICS_METRICS_NOW_H

#include "base/text.h"

/* Write it as further members of a JSON object. On the loop's thread. */
void metrics_now_write(struct text *out);

#endif
