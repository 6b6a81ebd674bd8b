/*
 * channel.c: messages between the master and the processes it starts, over a pair of Unix sockets that preserve message
 * boundaries.
 *
 * It is a socket pair and not a pipe because descriptors travel over it: a worker that has dropped its privileges, or
 * is in a chroot, could not reopen a log file. A worker also learns from it that its master has died; the kernel's
 * parent-death signal does not survive a change of user.
 */
#include "process/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/array.h"

union control {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
};

/* The kernel puts the sender first. There is no room behind it, so descriptors that come too are closed. */
union sender {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(struct ucred))];
};

static char received[CHANNEL_TEXT + 1];

int channel_open(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ? -errno : 0;
}

int channel_send_both(int end, const struct channel_message *message, const char *text)
{
    size_t size = strlen(text);
    struct iovec parts[] = {{(void *)message, sizeof(*message)},
                            {(void *)text, size < CHANNEL_TEXT ? size : CHANNEL_TEXT}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};
    union control control = {0};

    if (message->fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
        control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &message->fd, sizeof(int));
    }
    return sendmsg(end, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int channel_send(int end, const struct channel_message *message)
{
    return channel_send_both(end, message, "");
}

int channel_send_text(int end, enum channel_kind kind, const char *text)
{
    return channel_send_both(end, &(struct channel_message){kind, 0, -1}, text);
}

/* Read a message, with what comes with it if control is not NULL. Its fd is not set. */
static struct channel_message channel_read(int end, void *control, size_t size)
{
    struct channel_message message = {.kind = CHANNEL_NONE};
    struct iovec parts[] = {{&message, sizeof(message)}, {received, CHANNEL_TEXT}};
    struct msghdr msg = {
        .msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts), .msg_control = control, .msg_controllen = size};
    ssize_t n = recvmsg(end, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    message.fd = -1;
    received[n > (ssize_t)sizeof(message) ? (size_t)n - sizeof(message) : 0] = '\0';
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        message.kind = CHANNEL_END;
    return message;
}

struct channel_message channel_receive(int end)
{
    union control control = {0};
    struct channel_message message = channel_read(end, &control, sizeof(control));

    if (control.header.cmsg_level == SOL_SOCKET && control.header.cmsg_type == SCM_RIGHTS)
        memcpy(&message.fd, CMSG_DATA(&control.header), sizeof(int));
    return message;
}

void channel_wait(int end, int milliseconds)
{
    poll(&(struct pollfd){.fd = end, .events = POLLIN}, 1, milliseconds);
}

struct channel_message channel_hear(int end)
{
    return channel_read(end, NULL, 0);
}

int channel_show_senders(int end)
{
    int on = 1;

    return setsockopt(end, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? -errno : 0;
}

pid_t channel_await_sender(int end, int milliseconds)
{
    union sender control = {0};
    struct ucred sender;

    channel_wait(end, milliseconds);
    switch (channel_read(end, &control, sizeof(control)).kind) {
    case CHANNEL_NONE:
        return -ETIMEDOUT;
    case CHANNEL_END:
        return -ECHILD;
    default:
        if (control.header.cmsg_type != SCM_CREDENTIALS)
            return -EPROTO;
    }
    memcpy(&sender, CMSG_DATA(&control.header), sizeof(sender));
    return sender.pid;
}

const char *channel_text(void)
{
    return received;
}
