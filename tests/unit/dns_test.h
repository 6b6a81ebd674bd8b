/*
 * dns_test.h: names are looked up against a DNS server in the test.
 *
 * Where the machine allows it, the tests run in namespaces of their own, with their own resolv.conf, hosts and
 * nsswitch.conf, and the server at port 53: there every answer is compared with glibc's. Elsewhere, as in a chroot,
 * these comparisons are skipped, and the server is named by dns_use_servers.
 */
#ifndef DNS_TEST_H
#define DNS_TEST_H

#include "libc_test.h"

#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "dns_server.h"
#include "libc/dns/dns_channel.h"

static bool isolated;

/* ---- namespaces ---- */

static const char *const files[][2] = {
    {"/etc/resolv.conf", "nameserver 127.0.0.1\nsearch corp.test more.test\noptions timeout:1 attempts:1\n"},
    {"/etc/nsswitch.conf", "hosts: files dns\nservices: files\n"},
    {"/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n192.0.2.100 Host.test alias1 alias2 # comment\n"
                   "2001:db8::100 six-only.test\n192.0.2.101 host.test\n192.0.2.200 four-only.test\n"},
};

static char directory[] = "/tmp/libc-test-XXXXXX";

static inline void file_path(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", directory, strrchr(name, '/') + 1);
}

static inline void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    file_path(path, sizeof(path), name);
    file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static inline bool mount_files(void)
{
    char path[128];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        write_file(files[i][0], files[i][1]);
        file_path(path, sizeof(path), files[i][0]);
        if (mount(path, files[i][0], NULL, MS_BIND, NULL) < 0)
            return false;
    }
    return true;
}

static inline void remove_files(void)
{
    char path[128];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        file_path(path, sizeof(path), files[i][0]);
        unlink(path);
    }
    rmdir(directory);
}

static inline void loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ioctl(fd, SIOCGIFFLAGS, &request);
    request.ifr_flags |= IFF_UP;
    ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
}

static inline bool isolate(void)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) < 0)
        return false;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    loopback_up();
    return mount_files();
}

/* Tried in a child: half a namespace, without a loopback, would be of no use. */
static inline bool can_isolate(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(isolate() ? 0 : 1);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

/* ---- reports ---- */

static inline void report_address(struct report *r, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
    else
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
    report(r, "%s:%d", text, ntohs(in->sin_port));
}

static inline void ask_hints(struct report *r, const char *node, const char *service, const struct addrinfo *hints)
{
    struct addrinfo *list = NULL;
    int err = getaddrinfo(node, service, hints, &list);

    report(r, "%s %s %x: %d %s\n", node ? node : "-", service ? service : "-", hints ? hints->ai_flags : 0, err,
           err ? gai_strerror(err) : "");
    for (const struct addrinfo *info = list; info && !err; info = info->ai_next) {
        report(r, "  %d %d %d %x %u %s ", info->ai_family, info->ai_socktype, info->ai_protocol, info->ai_flags,
               info->ai_addrlen, info->ai_canonname ? info->ai_canonname : "");
        report_address(r, info->ai_addr);
        report(r, "\n");
    }
    if (!err)
        freeaddrinfo(list);
}

static inline void ask(struct report *r, const char *node, const char *service, int family, int type, int flags)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = type, .ai_flags = flags};

    ask_hints(r, node, service, &hints);
}

static inline void report_host(struct report *r, const struct hostent *host, int err, int h_error)
{
    char text[INET6_ADDRSTRLEN];

    report(r, "%d %d\n", err, h_error);
    if (!host)
        return;
    report(r, "  %s %d %d", host->h_name, host->h_addrtype, host->h_length);
    for (char **alias = host->h_aliases; *alias; alias++)
        report(r, " %s", *alias);
    for (char **address = host->h_addr_list; *address; address++)
        report(r, " %s", inet_ntop(host->h_addrtype, *address, text, sizeof(text)));
    report(r, "\n");
}

static inline void by_name(struct report *r, const char *name, int family, size_t size)
{
    struct hostent host, *result = &host;
    char buf[2048];
    int h_error = 99, err;

    err = gethostbyname2_r(name, family, &host, buf, size, &result, &h_error);
    report(r, "%s ", name);
    report_host(r, result, err, h_error);
}

static inline void by_address(struct report *r, const char *text)
{
    struct hostent host, *result = &host;
    int family = strchr(text, ':') ? AF_INET6 : AF_INET, h_error = 99, err;
    unsigned char bytes[16];
    char buf[2048];

    inet_pton(family, text, bytes);
    err = gethostbyaddr_r(bytes, family == AF_INET ? 4 : 16, family, &host, buf, sizeof(buf), &result, &h_error);
    report(r, "%s ", text);
    report_host(r, result, err, h_error);
    result = gethostbyaddr(bytes, family == AF_INET ? 4 : 16, family);
    report_host(r, result, 0, result ? 0 : h_errno);
}

static inline void name(struct report *r, const char *text, int port, int name_flags, socklen_t host_size)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
    char host[256] = "-", service[64] = "-";
    int err;

    address.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    in->sin_port = htons((uint16_t)port);
    inet_pton(address.ss_family, text, in->sin_family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr);
    err = getnameinfo((struct sockaddr *)&address, in->sin_family == AF_INET ? sizeof(*in) : sizeof(*in6), host,
                      host_size, service, sizeof(service), name_flags);
    report(r, "%s %x: %d %s %s\n", text, name_flags, err, err ? "" : host, err ? "" : service);
}

/* ---- start and end ---- */

static inline int dns_test_setup(void **state, struct dns_server *server)
{
    static char servers[32];

    libc_test_setup(state);
    if (dns_server_start(server, isolated ? 53 : 0) < 0)
        return -1;
    snprintf(servers, sizeof(servers), "127.0.0.1:%d", server->port);
    if (!isolated)
        dns_use_servers(servers);
    return 0;
}

static inline int dns_test_teardown(void **state, struct dns_server *server)
{
    dns_server_stop(server);
    remove_files();
    return libc_test_teardown(state);
}

static inline void test_left_out(void **state)
{
    skip();
}

/* The first tests of the list, before that one, compare with glibc. Returns false if nothing can be tested. */
static inline bool dns_test_isolate(struct CMUnitTest *tests, CMUnitTestFunction first_other)
{
    if (!mkdtemp(directory))
        return false;
    isolated = can_isolate() && isolate();
    if (!isolated)
        printf("no namespaces here: the comparisons with glibc are skipped\n");
    for (size_t i = 0; !isolated && tests[i].test_func != first_other; i++)
        tests[i].test_func = test_left_out;
    return true;
}

#endif
