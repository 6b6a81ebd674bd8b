/* channel.h: messages between the master and the processes it starts. */
#ifndef PROCESS_CHANNEL_H
#define PROCESS_CHANNEL_H

#include <stdint.h>
#include <sys/types.h>

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
    CHANNEL_SPAWNED,    /* the answer: number is 0 or a negative errno; and the first message of the worker itself */
    CHANNEL_REPORT,     /* to the master: with a text, where the process is, which the master has asked for */
    CHANNEL_RUNNING,    /* the same: with a text, its requests, as inside/running_raw.h writes them */
    CHANNEL_OVERDUE,    /* the same unasked: a request that is past its request-timeout blocks the worker */
    CHANNEL_FILES,      /* to the master: with a text, files that the application consists of, one on each line */
    CHANNEL_LOOP_ENDED, /* to the master: this worker answers no pings any more and will exit */
    CHANNEL_DRAIN,      /* to a worker: the server is about to stop, so it is not ready any more, but serves */
    CHANNEL_ASK,        /* a question of inside/question.h; to a worker, with a file in memory for the answer */
    CHANNEL_SESSION,    /* to a worker: with a question of inside/question.h; fd is the client, which talks to it */
    CHANNEL_ANSWER,     /* to the master: the answer to the question of that number is in the file; to a worker: it is
                           in this file */
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

/* Send a message with a text. Returns as channel_send. */
int channel_send_both(int end, const struct channel_message *message, const char *text);

/* Returns the next message, without waiting. */
struct channel_message channel_receive(int end);

/* The same for the master, to whom nobody may send descriptors: they are closed, and fd is -1. */
struct channel_message channel_hear(int end);

/* Have the kernel say who has sent a message that arrives at this end from now on. Returns 0 or -errno. */
int channel_show_senders(int end);

/* Wait for the next message, at most so many milliseconds. Returns the pid of the process that has sent it, for which
 * the kernel vouches; -ECHILD: all that could have are dead. */
pid_t channel_await_sender(int end, int milliseconds);

/* Returns the text of the message that was received last, or "". Valid until the next one is received. */
const char *channel_text(void);

/* Wait for a message: at most this many milliseconds, or any time if negative. */
void channel_wait(int end, int milliseconds);

#endif
