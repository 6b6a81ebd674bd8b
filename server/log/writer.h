/* writer.h: a thread that writes for others, which do not wait for it, or not for long. */
#ifndef LOG_WRITER_H
#define LOG_WRITER_H

#include <stdbool.h>

struct writer;

/* Called on the thread after each kick. Returns false when the thread is to end. */
typedef bool writer_fn(void *arg);

/* Start a thread, without signals. Returns the writer, or NULL if there is no memory for a thread. It is freed when fn
 * returns false. */
struct writer *writer_new(writer_fn *fn, void *arg);

/* Have the thread call fn soon, at least once from now on. Any thread; async-signal-safe. */
void writer_kick(struct writer *w);

/* Wait until fn has returned from a call that began after the latest kick, but at most so many milliseconds. Returns
 * whether it has. Any thread but the writer's; async-signal-safe. */
bool writer_wait(struct writer *w, int milliseconds);

/* Free it in a forked child, which does not have the thread. */
void writer_forget(struct writer *w);

#endif
