/*
 * dns_server.h: a small DNS server on the loopback, in a thread of the test, over UDP and TCP. Its answers are in a
 * table.
 */
#ifndef DNS_SERVER_H
#define DNS_SERVER_H

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* A record of a name. A name without one does not exist. */
struct dns_record {
    const char *name;
    int type;         /* ns_t_a, ns_t_aaaa, ns_t_cname, ns_t_ptr */
    const char *data; /* address or name */
};

enum dns_manner { DNS_ANSWERS, DNS_FAILS, DNS_REFUSES, DNS_SILENT, DNS_SLOW, DNS_ONLY_TCP };

struct dns_special {
    const char *name;
    enum dns_manner manner;
};

struct dns_message;

struct dns_server {
    const struct dns_record *records;
    const struct dns_special *specials;
    void (*reply)(struct dns_message *m); /* instead of records: adds to the question what it likes */
    int udp, tcp;
    uint16_t port;
    atomic_int queries;
    atomic_bool stop;
    pthread_t thread;
};

#define DNS_SLOW_MS 20

struct dns_message {
    uint8_t bytes[4096];
    size_t size;
    char name[256]; /* of the question */
    int type;
    size_t question_end;
};

static inline void dns_put16(struct dns_message *m, unsigned value)
{
    m->bytes[m->size++] = (uint8_t)(value >> 8);
    m->bytes[m->size++] = (uint8_t)value;
}

static inline void dns_put_name(struct dns_message *m, const char *name)
{
    while (*name) {
        size_t length = strcspn(name, ".");

        m->bytes[m->size++] = (uint8_t)length;
        memcpy(m->bytes + m->size, name, length);
        m->size += length;
        name += length + (name[length] == '.');
    }
    m->bytes[m->size++] = 0;
}

static inline int dns_read_question(struct dns_message *m)
{
    size_t at = 12;
    char *out = m->name;

    while (at < m->size && m->bytes[at]) {
        size_t length = m->bytes[at++];

        if (at + length + 5 > m->size)
            return -1;
        memcpy(out, m->bytes + at, length);
        out += length;
        *out++ = '.';
        at += length;
    }
    out[out > m->name ? -1 : 0] = '\0';
    m->type = m->bytes[at + 1] << 8 | m->bytes[at + 2];
    m->question_end = at + 5;
    return 0;
}

static inline enum dns_manner dns_manner_of(const struct dns_server *server, const char *name)
{
    for (const struct dns_special *special = server->specials; special->name; special++)
        if (strcasecmp(special->name, name) == 0)
            return special->manner;
    return DNS_ANSWERS;
}

static inline void dns_put_record(struct dns_message *m, const struct dns_record *record)
{
    size_t size_at;

    dns_put_name(m, record->name);
    dns_put16(m, (unsigned)record->type);
    dns_put16(m, ns_c_in);
    dns_put16(m, 0);
    dns_put16(m, 60); /* time to live */
    size_at = m->size;
    dns_put16(m, 0);
    if (record->type == ns_t_a) {
        inet_pton(AF_INET, record->data, m->bytes + m->size);
        m->size += 4;
    } else if (record->type == ns_t_aaaa) {
        inet_pton(AF_INET6, record->data, m->bytes + m->size);
        m->size += 16;
    } else {
        dns_put_name(m, record->data);
    }
    m->bytes[size_at + 1] = (uint8_t)(m->size - size_at - 2);
}

/* Append the records that answer the question, following aliases. Returns their number; -1 if the name does not exist.
 */
static inline int dns_put_answers(const struct dns_server *server, struct dns_message *m, const char *name)
{
    int count = -1;

    for (const struct dns_record *record = server->records; record->name; record++) {
        if (strcasecmp(record->name, name) != 0)
            continue;
        if (count < 0)
            count = 0;
        if (record->type != m->type && record->type != ns_t_cname)
            continue;
        dns_put_record(m, record);
        count++;
        if (record->type == ns_t_cname) {
            int more = dns_put_answers(server, m, record->data);

            count += more > 0 ? more : 0;
        }
    }
    return count;
}

/* Turn a query into its answer. Returns false if there is none. */
static inline int dns_answer_query(struct dns_server *server, struct dns_message *m, int is_tcp)
{
    enum dns_manner manner;
    int count = 0, rcode = ns_r_noerror;

    if (m->size < 17 || dns_read_question(m) < 0)
        return 0;
    atomic_fetch_add(&server->queries, 1);
    m->size = m->question_end;
    if (server->reply) {
        m->bytes[2] = 0x85; /* answer, authoritative */
        m->bytes[3] = 0x80;
        memset(m->bytes + 6, 0, 6);
        server->reply(m);
        return 1;
    }
    manner = dns_manner_of(server, m->name);
    if (manner == DNS_SILENT)
        return 0;
    if (manner == DNS_SLOW)
        usleep(DNS_SLOW_MS * 1000);
    if (manner == DNS_FAILS)
        rcode = ns_r_servfail;
    else if (manner == DNS_REFUSES)
        rcode = ns_r_refused;
    else if (manner != DNS_ONLY_TCP || is_tcp)
        count = dns_put_answers(server, m, m->name);
    if (count < 0)
        rcode = ns_r_nxdomain;
    m->bytes[2] = 0x85 | (manner == DNS_ONLY_TCP && !is_tcp ? 2 : 0); /* answer, authoritative, truncated */
    m->bytes[3] = (uint8_t)(0x80 | rcode);
    memset(m->bytes + 6, 0, 6);
    m->bytes[7] = (uint8_t)(count > 0 ? count : 0);
    return 1;
}

static inline void dns_serve_udp(struct dns_server *server)
{
    struct dns_message m;
    struct sockaddr_storage from;
    socklen_t size = sizeof(from);
    ssize_t got = recvfrom(server->udp, m.bytes, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &size);

    m.size = got > 0 ? (size_t)got : 0;
    if (dns_answer_query(server, &m, 0))
        sendto(server->udp, m.bytes, m.size, 0, (struct sockaddr *)&from, size);
}

/* One query of a connection. */
static inline int dns_serve_query(struct dns_server *server, int fd)
{
    struct dns_message m;
    uint8_t length[2];

    if (recv(fd, length, 2, MSG_WAITALL) != 2)
        return 0;
    m.size = (size_t)(length[0] << 8 | length[1]);
    if (m.size > 512 || recv(fd, m.bytes, m.size, MSG_WAITALL) != (ssize_t)m.size || !dns_answer_query(server, &m, 1))
        return 0;
    length[0] = (uint8_t)(m.size >> 8);
    length[1] = (uint8_t)m.size;
    return send(fd, length, 2, MSG_NOSIGNAL) == 2 && send(fd, m.bytes, m.size, MSG_NOSIGNAL) == (ssize_t)m.size;
}

static inline void dns_serve_tcp(struct dns_server *server)
{
    int fd = accept(server->tcp, NULL, NULL);

    while (dns_serve_query(server, fd))
        ;
    close(fd);
}

static inline void *dns_serve(void *arg)
{
    struct dns_server *server = arg;
    struct pollfd fds[2] = {{.fd = server->udp, .events = POLLIN}, {.fd = server->tcp, .events = POLLIN}};

    while (!atomic_load(&server->stop)) {
        if (poll(fds, 2, 20) <= 0)
            continue;
        if (fds[0].revents)
            dns_serve_udp(server);
        if (fds[1].revents)
            dns_serve_tcp(server);
    }
    return NULL;
}

/* Bind both sockets to a port, 0 for any. */
static inline int dns_bind(struct dns_server *server, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof(at);
    int yes = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(server->tcp, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(server->tcp, (struct sockaddr *)&at, size) < 0 || listen(server->tcp, 20) < 0)
        return -1;
    getsockname(server->tcp, (struct sockaddr *)&at, &size);
    server->port = ntohs(at.sin_port);
    return bind(server->udp, (struct sockaddr *)&at, size);
}

static inline int dns_server_start(struct dns_server *server, uint16_t port)
{
    if (dns_bind(server, port) < 0)
        return -1;
    return pthread_create(&server->thread, NULL, dns_serve, server) == 0 ? 0 : -1;
}

static inline void dns_server_stop(struct dns_server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    close(server->udp);
    close(server->tcp);
}

#endif
