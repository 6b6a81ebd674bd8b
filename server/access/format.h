/* format.h: log-format, compiled. */
#ifndef ACCESS_FORMAT_H
#define ACCESS_FORMAT_H

#include "base/text.h"
#include "base/arena.h"
#include "http/request/request.h"

struct format;

/* Compile a format: text with %(variable), %{Field}i and %{Field}o in it, or the name of one: common, combined,
 * combined-time, json. Lives as long as the arena. Returns NULL for a bad one; *why then says what is wrong with it. */
const struct format *format_compile(struct arena *arena, const char *text, const char **why);

/* Add the line of a request that is over, with its line end. */
void format_line(const struct format *format, struct text *out, const struct request *req);

/* In a worker, after the fork: the number that the variable wid shows. */
void format_set_worker(int number);

#endif
