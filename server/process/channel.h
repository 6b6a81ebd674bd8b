/* channel.h: messages between the master and the processes it starts. */
#ifndef PROCESS_CHANNEL_H
#define PROCESS_CHANNEL_H

#include <stdint.h>

enum channel_kind {
    CHANNEL_NONE,       /* nothing has come */
    CHANNEL_END,        /* the other side is gone */
    CHANNEL_READY,      /* to the master: it serves */
    CHANNEL_REPLACE,    /* to the master: it has served enough, start another one in its place */
    CHANNEL_PING,       /* to a worker, which sends it back */
    CHANNEL_ERROR_LOG,  /* to a worker, with a descriptor: write there from now on */
    CHANNEL_ACCESS_LOG, /* the same */
    CHANNEL_SPAWN,      /* to a nursery: fork a worker of that number, which has the descriptor for its channel */
    CHANNEL_SPAWNED,    /* its answer: the number is the pid */
};

struct channel_message {
    enum channel_kind kind;
    int32_t number;
    int fd; /* the receiver's then, or -1 */
};

/* A pair of ends, close-on-exec; neither ever blocks. 0 or -errno. */
int channel_open(int ends[2]);

/* Send a message; its fd stays the caller's. 0 or -errno. */
int channel_send(int end, const struct channel_message *message);

/* The next message that has come. */
struct channel_message channel_receive(int end);

/* The same, waiting for it for at most so many milliseconds. */
struct channel_message channel_await(int end, int milliseconds);

#endif
