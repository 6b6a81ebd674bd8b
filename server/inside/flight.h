/* flight.h: the flight recorder writes files: what has happened before a request timed out, and so on. */
#ifndef INSIDE_FLIGHT_H
#define INSIDE_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>

struct request;

struct flight_settings {
    size_t size;     /* bytes of the ring; 0: nothing is recorded */
    const char *dir; /* of the files, borrowed; NULL: none are written */
    size_t files;    /* that are kept there */
    int worker;
};

/* Begin to record in this process. */
void flight_start(const struct flight_settings *settings);

/* A request was answered with 504. On the loop's thread. */
void flight_on_timeout(const struct request *req);

/* The event loop is blocked. On another thread. */
void flight_on_block(void);

/* Write the events of this process to fd, upon another thread, without FLIGHT_HEAD and FLIGHT_TAIL. done(arg, err) is
 * called on the loop's thread with 0 or -errno; fd stays the caller's. Returns 0 or -errno. */
int flight_answer(int fd, void (*done)(void *arg, int err), void *arg);

#endif
