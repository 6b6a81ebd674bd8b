/* collector.h: where spans go: an OpenTelemetry collector, by OTLP over HTTP. */
#ifndef OTLP_COLLECTOR_H
#define OTLP_COLLECTOR_H

#include <stddef.h>
#include <stdint.h>

struct arena;

struct collector {
    const char *url; /* for messages */
    const char *authority, *host, *port, *path;
};

/* What has become of a batch. */
struct collector_answer {
    int status;          /* of the response; 0: there is none */
    int err;             /* if there is none: the -errno */
    int64_t retry_after; /* nanoseconds that it wants to be left alone; 0: it does not say */
};

/* Read a URL, http://HOST[:PORT][/PATH]; without a path it is base_path. The memory is the arena's. Returns NULL, or
 * what is wrong with it. */
const char *collector_parse(struct collector *c, struct arena *arena, const char *url, const char *base_path);

/* Send JSON and read the answer; on a coroutine, until the deadline. */
struct collector_answer collector_post(const struct collector *c, const char *json, size_t size, int64_t deadline);

#endif
