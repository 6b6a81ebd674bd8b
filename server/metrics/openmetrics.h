/* openmetrics.h: what was counted, as a page for Prometheus. */
#ifndef METRICS_OPENMETRICS_H
#define METRICS_OPENMETRICS_H

#include <stdbool.h>

#include "base/text.h"

/* What only the master knows. */
struct openmetrics_server {
    const char *version;
    unsigned starting, serving, stopping, stuck; /* workers */
    unsigned wanted;
};

/* Write the page, as OpenMetrics 1.0 or in the text format of Prometheus 0.0.4, which differs in few places. */
void openmetrics_write(const struct openmetrics_server *server, bool open, struct text *out);

#endif
