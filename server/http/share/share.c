/*
 * share.c: the workers share the connections of their listen sockets evenly.
 *
 * All workers watch the same sockets, and the kernel wakes the one that has slept longest, or several. Left to that,
 * the first worker would get nearly everything: it is back before the others have woken up. So the one that is awake
 * looks at the table of seats. If another has fewer connections and has accepted fewer, it is that one's turn, and it
 * is poked by a datagram. A worker that computes, or is stopped, must not delay its siblings' clients: who has not
 * looked PATIENCE after a poke is passed over until it does.
 *
 * Connections that were kept alive stay where they are, and are distributed badly after a worker was replaced or was
 * busy for a while. So each worker looks once a second, and when it joins, whether another has more, and asks it for
 * idle ones, whose descriptors come by datagram. The one that has fewer asks: that shows that it lives.
 *
 * Connections are not used evenly either: nginx takes the one that was used last. So requests are counted too. A worker
 * that is ahead of another offers it a connection, and if that one wants it, gives it the next one that becomes idle;
 * one more only if it still gets further ahead, or both would pass all of them to and fro.
 *
 * Why not SO_REUSEPORT: what is in the backlog of a worker that ends is lost, its hash is uneven for tens of
 * connections, and a program for the kernel that counts needs CAP_BPF. Datagrams, because a worker that is started
 * later needs no descriptor of the others for them; the kernel chooses the address of each socket.
 */
#include "http/share/share.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/own.h"
#include "http/share/seats.h"
#include "log/log.h"
#include "wait/wait.h"

#define PATIENCE     10   /* milliseconds for a worker that was poked */
#define CHECK_EVERY  1000 /* milliseconds between two looks whether another has more */
#define WANTED_FOR   300  /* milliseconds that a wish for connections is valid */
#define MAX_WANTED   8    /* connections; the kernel queues 10 datagrams */
#define SERVED_STEP  8    /* requests after which a worker looks how many others have served */
#define SERVED_ALONE 1024 /* the same, if there are none; a message of another ends that */
#define SERVED_LEAD  24   /* requests that a worker may be ahead of another */
#define SERVED_DEBT  48   /* the most requests that a worker is behind after it has had none for a while */
#define OFFER_EVERY  20   /* milliseconds between two offers that are not answered */
#define MAX_DEBT     32   /* the most that a worker is behind after it has not accepted for a while */

enum share_kind { SHARE_LOOK, SHARE_OFFER, SHARE_WANT, SHARE_CONNECTION };

struct share_message {
    enum share_kind kind;
    unsigned from;  /* the number of the sender's seat */
    unsigned count; /* SHARE_WANT: how many it wants at most */
    bool used;      /* SHARE_WANT: of those that are used, after an offer */
    struct share_connection connection;
};

union share_control {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

static struct {
    struct seat *seat; /* NULL: this process shares nothing */
    const struct share_handler *handler;
    struct wait_source source; /* the socket for datagrams; fd -1: none */
    struct wait_timeouts timeouts;
    struct wait_timeout look; /* runs while it is another's turn */
    bool impatient;           /* it has run out */
    struct seat *wanting;     /* who has asked for connections last; valid while share_is_wanted */
    pid_t wanting_pid;        /* its pid then */
    unsigned wanted;          /* how many it still wants */
    bool wanted_used;         /* it wants those that are used */
    int64_t wanted_until;     /* by wait_time */
    uint64_t served_before;   /* what our seat's count of requests has more than our own */
    int64_t lead;             /* the lead at which we gave a used connection; 0: we are not far ahead */
    int64_t offered;          /* by wait_time, when we made the last offer */
    unsigned expected;        /* connections that we have asked for, and have not got */
} share = {.source.fd = -1};

bool share_is_wanted;
size_t share_next_look = SIZE_MAX;

/* ---- datagrams ---- */

static int send_message(const struct seat *seat, const struct share_message *message, int fd)
{
    struct iovec body = {(void *)message, sizeof(*message)};
    struct msghdr msg = {.msg_name = (void *)seat->name, .msg_namelen = seat->name_size, .msg_iov = &body};
    union share_control control = {0};

    msg.msg_iovlen = 1;
    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int));
        control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    return sendmsg(share.source.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Take what came with a message. Returns the descriptor, or -1. *ours: it is from a process of our user or of root. */
static int read_control(struct msghdr *msg, bool *ours)
{
    int fd = -1;

    *ours = false;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(msg); header; header = CMSG_NXTHDR(msg, header)) {
        struct ucred sender;

        if (header->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(header), sizeof(fd));
        if (header->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&sender, CMSG_DATA(header), sizeof(sender));
        *ours = sender.uid == geteuid() || sender.uid == 0;
    }
    return fd;
}

/* Returns the size of the next message, 0 for one that is not to be read, -1 if there is none. */
static ssize_t receive_message(struct share_message *message, int *fd)
{
    struct iovec body = {message, sizeof(*message)};
    union share_control control;
    struct msghdr msg = {.msg_iov = &body, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(share.source.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    bool ours;

    if (n < 0)
        return -1;
    *fd = read_control(&msg, &ours);
    if (ours && n == sizeof(*message))
        return n;
    if (*fd >= 0)
        close(*fd);
    return 0;
}

/* ---- who has fewer ---- */

/* How many more idle connections are not worth to be moved from a worker to another with so many: one, or 6 %. */
static int64_t tolerance(int64_t open)
{
    return 1 + open / 16;
}

/* Whether it was told to look, and has not for so long that it cannot be counted on. */
static bool seat_is_busy(const struct seat *seat)
{
    int64_t poked = seat->poked;

    return poked && wait_now() - poked > PATIENCE * INT64_C(1000000);
}

/* Whether a connection is that one's rather than ours: it has fewer, and has accepted fewer. The sum of both keeps the
 * counts of short connections even too, whoever is faster just now. */
static bool seat_precedes(const struct seat *seat, const struct seat *mine)
{
    int64_t open = seat->open;

    return open + (int64_t)seat->accepted + open / 16 < mine->open + (int64_t)mine->accepted;
}

/* Whoever has not accepted for a while must not get all connections until it has caught up with all of them. */
static void seat_forgive(struct seat *seat, uint64_t accepted, uint64_t debt)
{
    if (seat->accepted + debt < accepted)
        seat->accepted = accepted - debt;
}

/* Returns the seat whose turn it is rather than ours, or NULL. */
static struct seat *seat_in_turn(void)
{
    struct seat *mine = share.seat, *seat, *first = NULL;
    uint64_t accepted = 0;
    unsigned at = 0;

    while ((seat = seat_next(mine, &at))) {
        accepted = seat->accepted > accepted ? seat->accepted : accepted;
        if (seat_precedes(seat, mine) && (!first || seat_precedes(seat, first)) && !seat_is_busy(seat))
            first = seat;
    }
    seat_forgive(mine, accepted, MAX_DEBT);
    return first;
}

static void poke(struct seat *seat)
{
    int64_t none = 0;

    if (!atomic_compare_exchange_strong(&seat->poked, &none, wait_now()))
        return;                                                          /* it has not looked since the last one */
    send_message(seat, &(struct share_message){.kind = SHARE_LOOK}, -1); /* if it fails, we look again soon */
}

static bool has_backlog(int fd)
{
    struct pollfd listener = {.fd = fd, .events = POLLIN};

    return poll(&listener, 1, 0) > 0 && listener.revents == POLLIN;
}

enum share_turn share_turn(int fd)
{
    struct seat *seat = share_has_others() && !share.impatient ? seat_in_turn() : NULL;

    if (!seat || !has_backlog(fd))
        return SHARE_OURS;
    poke(seat);
    if (list_empty(&share.look.link))
        wait_timeout_start(&share.timeouts, &share.look);
    return SHARE_ANOTHERS;
}

/* Take what still waits: the worker whose turn it was may have looked, and have no place or no descriptor left. */
static void on_patience_over(struct wait_timeout *timeout)
{
    share.impatient = true;
    share.handler->look();
    share.impatient = false;
}

bool share_has_others(void)
{
    unsigned at = 0;

    return share.seat && seat_next(share.seat, &at);
}

void share_count_accepted(void)
{
    if (share.seat)
        share.seat->accepted++;
}

void share_count(int change)
{
    if (share.seat)
        share.seat->open += change;
}

/* ---- idle connections ---- */

/* Ask the worker with the most connections for some, if it has more than we. */
static void want_connections(void)
{
    struct seat *seat, *most = NULL;
    struct share_message message = {.kind = SHARE_WANT};
    unsigned at = 0;
    int64_t excess;

    while (share.seat && (seat = seat_next(share.seat, &at)))
        if (!most || seat->open > most->open)
            most = seat;
    if (!most)
        return;
    excess = most->open - share.seat->open;
    if (excess <= tolerance(share.seat->open))
        return;
    message.from = seat_number(share.seat);
    message.count = share.expected = (unsigned)min_int64(excess / 2, MAX_WANTED);
    send_message(most, &message, -1);
}

/* ---- requests ---- */

/* Whoever was without requests for a while must not get all of them until it has caught up. */
static void forgive_served(struct seat *mine, uint64_t debt)
{
    struct seat *seat;
    uint64_t served = mine->served;
    unsigned at = 0;

    while ((seat = seat_next(mine, &at)))
        served = seat->served > served + debt ? seat->served - debt : served;
    share.served_before += served - mine->served;
    mine->served = served;
}

/* Returns the other seat that has served fewest, or NULL. */
static struct seat *seat_with_fewest_served(void)
{
    struct seat *seat, *fewest = NULL;
    unsigned at = 0;

    while ((seat = seat_next(share.seat, &at)))
        if ((!fewest || seat->served < fewest->served) && !seat_is_busy(seat))
            fewest = seat;
    return fewest;
}

void share_look_at_served(size_t requests)
{
    struct seat *mine = share.seat, *fewest;
    int64_t lead;

    share_next_look = requests + SERVED_STEP;
    mine->served = requests + share.served_before;
    fewest = seat_with_fewest_served();
    if (!fewest)
        share_next_look = requests + SERVED_ALONE;
    lead = fewest ? (int64_t)(mine->served - fewest->served) : 0;
    if (lead < SERVED_LEAD)
        share.lead = 0;
    if (lead < share.lead + SERVED_LEAD || wait_time() - share.offered < OFFER_EVERY)
        return;
    share.offered = wait_time();
    send_message(fewest, &(struct share_message){.kind = SHARE_OFFER, .from = seat_number(mine)}, -1);
}

/* Another worker is ahead of us and offers a connection. */
static void on_offer(const struct share_message *message)
{
    struct seat *seat = seat_of(message->from);
    struct share_message answer = {.kind = SHARE_WANT, .count = 1, .used = true};

    if (!seat || !share.seat)
        return;
    forgive_served(share.seat, SERVED_DEBT);
    if (share.seat->served + SERVED_LEAD > seat->served)
        return;
    answer.from = seat_number(share.seat);
    send_message(seat, &answer, -1);
}

static void on_wanted(const struct share_message *message)
{
    struct seat *seat = seat_of(message->from);

    if (!seat || !share.seat)
        return;
    share.wanting = seat;
    share.wanting_pid = seat->pid;
    share.wanted = message->count;
    share.wanted_used = message->used;
    share.wanted_until = wait_time() + WANTED_FOR;
    share_is_wanted = true;
    if (!message->used)
        share.handler->wanted();
}

/* Whether the worker that wants connections still should get some. */
static bool is_still_wanted(void)
{
    const struct seat *seat = share.wanting;

    return share.seat && share.wanted > 0 && seat->pid == share.wanting_pid && seat->kind == share.seat->kind &&
           wait_time() <= share.wanted_until && (share.wanted_used || seat->open + 2 <= share.seat->open);
}

bool share_give(const struct share_connection *given, int fd)
{
    struct share_message message = {.kind = SHARE_CONNECTION, .connection = *given};

    share_is_wanted = is_still_wanted();
    if (!share_is_wanted || send_message(share.wanting, &message, fd) < 0)
        return false;
    share.wanting->open++; /* so that nobody gives it more before it has looked */
    share.wanted--;
    if (share.wanted_used) {
        share.lead = (int64_t)(share.seat->served - share.wanting->served);
        share.offered = 0;
    }
    return true;
}

static void on_given(const struct share_message *message, int fd)
{
    share_count(-1); /* the sender has counted it, and so will the handler */
    share.handler->take(&message->connection, fd);
    if (share.expected > 0 && --share.expected == 0)
        want_connections();
}

/* ---- the socket ---- */

static void read_messages(void)
{
    struct share_message message;
    bool look = false;
    ssize_t n;
    int fd;

    share_next_look = share.seat ? 0 : SIZE_MAX;
    while ((n = receive_message(&message, &fd)) >= 0) {
        if (n > 0 && message.kind == SHARE_CONNECTION && fd >= 0)
            on_given(&message, fd);
        else if (n > 0 && message.kind == SHARE_WANT)
            on_wanted(&message);
        else if (n > 0 && message.kind == SHARE_OFFER)
            on_offer(&message);
        look |= n > 0 && message.kind == SHARE_LOOK;
    }
    if (!look || !share.seat)
        return;
    share.seat->poked = 0;
    share.handler->look();
}

static void on_share_ready(struct wait_source *source, short events)
{
    read_messages();
}

/* Make the socket, at an address that the kernel chooses, and tell it to the others. Returns 0 or -errno. */
static int open_share_socket(struct seat *seat)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, err;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address);

    if (fd < 0)
        return -errno;
    share.source = (struct wait_source){.ready = on_share_ready, .fd = fd};
    own_fd(fd);
    if (bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0 || size > sizeof(seat->name))
        err = errno ? -errno : -ENAMETOOLONG;
    else
        err = wait_source_open(&share.source);
    memcpy(seat->name, &address, min_size(size, sizeof(seat->name)));
    seat->name_size = size;
    if (err) {
        own_fd_end(fd);
        close(fd);
        share.source.fd = -1;
    }
    return err;
}

/* A worker that joins has accepted as many as those that are there. */
static void forgive_all(struct seat *mine)
{
    struct seat *seat;
    unsigned at = 0;

    while ((seat = seat_next(mine, &at)))
        seat_forgive(mine, seat->accepted, 0);
}

uint64_t share_socket(int fd)
{
    struct stat st = {0};

    fstat(fd, &st);
    return st.st_ino;
}

void share_join(uint64_t kind, const struct share_handler *handler)
{
    struct seat *seat = seat_take();
    int err = seat ? open_share_socket(seat) : 0;

    if (!seat)
        return;
    if (err) {
        log_warn("this worker does not share connections evenly with others: no socket for datagrams: %s",
                 strerror(-err));
        seats_vacate(getpid());
        return;
    }
    share.handler = handler;
    wait_timeouts_init(&share.timeouts, PATIENCE + 1, on_patience_over);
    list_init(&share.look.link);
    share.seat = seat;
    seat->kind = kind;
    forgive_all(seat);
    forgive_served(seat, 0);
    share_next_look = 0;
    wait_every(CHECK_EVERY, want_connections);
    want_connections();
}

void share_leave(void)
{
    if (!share.seat)
        return;
    share.seat = NULL;
    share_is_wanted = false;
    share_next_look = SIZE_MAX;
    wait_timeout_stop(&share.look);
    seats_vacate(getpid());
    shutdown(share.source.fd, SHUT_RD); /* who had looked at the seat before may be about to give us a connection */
    read_messages();
    wait_source_close(&share.source);
    own_fd_end(share.source.fd);
    close(share.source.fd);
    share.source.fd = -1;
}

void share_forget(void)
{
    share.seat = NULL;
    share_is_wanted = false;
    share_next_look = SIZE_MAX;
    share.source.fd = -1;
}
