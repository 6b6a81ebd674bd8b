/* channel.h: messages between the master and the processes it starts. */
#ifndef PROCESS_CHANNEL_H
#define PROCESS_CHANNEL_H

#include <stdint.h>

enum channel_kind {
    CHANNEL_NONE,       /* no message has arrived */
    CHANNEL_END,        /* the other end is closed */
    CHANNEL_READY,      /* to the master: the worker serves, or the fork server can fork */
    CHANNEL_REPLACE,    /* to the master: this worker has reached a limit and asks for a replacement */
    CHANNEL_PING,       /* to a worker, which sends it back */
    CHANNEL_ERROR_LOG,  /* to a worker or the fork server: fd is the error log from now on */
    CHANNEL_ACCESS_LOG, /* the same for the access log of this number */
    CHANNEL_CONNECTION, /* to a worker: fd is a connection of the listen socket of this number, from its backlog */
    CHANNEL_SPAWN,      /* to the fork server: fork the worker of this number; fd is its channel */
    CHANNEL_SPAWNED,    /* the answer: number is the pid, or a negative errno */
    CHANNEL_REPORT,     /* to the master: with a text, where the process is, which the master has asked for */
    CHANNEL_OVERDUE,    /* the same unasked: a request that is past its request-timeout blocks the worker */
    CHANNEL_LOOP_ENDED, /* to the master: this worker answers no pings any more and will exit */
};

#define CHANNEL_TEXT 49152 /* bytes of a text at most */

struct channel_message {
    enum channel_kind kind;
    int32_t number;
    int fd; /* -1: none; owned by the receiver */
};

/* Make a connected pair of ends, close-on-exec and non-blocking. Returns 0 or -errno. */
int channel_open(int ends[2]);

/* Send a message; its fd stays the caller's. Returns 0 or -errno; -EAGAIN: the other end does not read. */
int channel_send(int end, const struct channel_message *message);

/* Send a message that is a text, whose end is cut off if it is too long. Async-signal-safe. Returns as channel_send. */
int channel_send_text(int end, enum channel_kind kind, const char *text);

/* Returns the next message, without waiting. */
struct channel_message channel_receive(int end);

/* Returns the text of the message that was received last, or "". Valid until the next one is received. */
const char *channel_text(void);

/* The same, but waits for it: at most this many milliseconds, or any time if negative. CHANNEL_NONE: none came. */
struct channel_message channel_await(int end, int milliseconds);

#endif
