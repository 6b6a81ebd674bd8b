/* Users, groups and services by NSS, and syslog: libc waits for a daemon on a thread. The daemon is a slow function in
 * place of libc's. */
#include "libc_test.h"

#include <aliases.h>
#include <grp.h>
#include <gshadow.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <pwd.h>
#include <shadow.h>
#include <syslog.h>

#include "base/real.h"
#include "libc/names/nsswitch.h"
#include "libc/process/syslog.h"

static struct real_calls libc; /* as it is */

/* ---- slow functions ---- */

static int slow_getpwnam_r(const char *name, struct passwd *out, char *buf, size_t size, struct passwd **result)
{
    usleep(LATER_MS * 1000);
    return libc.getpwnam_r(name, out, buf, size, result);
}

static int slow_getgrgid_r(gid_t id, struct group *out, char *buf, size_t size, struct group **result)
{
    usleep(LATER_MS * 1000);
    return libc.getgrgid_r(id, out, buf, size, result);
}

static int slow_getservbyname_r(const char *name, const char *protocol, struct servent *out, char *buf, size_t size,
                                struct servent **result)
{
    usleep(LATER_MS * 1000);
    return libc.getservbyname_r(name, protocol, out, buf, size, result);
}

static int slow_getgrouplist(const char *user, gid_t group, gid_t *groups, int *count)
{
    usleep(LATER_MS * 1000);
    return libc.getgrouplist(user, group, groups, count);
}

/* One for each kind of function that is made in a way of its own. */
static int slow_getspnam_r(const char *name, struct spwd *out, char *buf, size_t size, struct spwd **result)
{
    usleep(LATER_MS * 1000);
    return libc.getspnam_r(name, out, buf, size, result);
}

static int slow_getnetbyname_r(const char *name, struct netent *out, char *buf, size_t size, struct netent **result,
                               int *host_error)
{
    usleep(LATER_MS * 1000);
    return libc.getnetbyname_r(name, out, buf, size, result, host_error);
}

static int slow_innetgr(const char *group, const char *host, const char *user, const char *domain)
{
    usleep(LATER_MS * 1000);
    return libc.innetgr(group, host, user, domain);
}

static int slow_ether_hostton(const char *name, struct ether_addr *address)
{
    usleep(LATER_MS * 1000);
    return libc.ether_hostton(name, address);
}

/* ---- a daemon behind nsswitch.conf ---- */

static char config[] = "/tmp/test_libc_nss.XXXXXX";

static void use_config(const char *text)
{
    int fd;

    strcpy(config + sizeof(config) - 7, "XXXXXX");
    fd = mkstemp(config);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    nsswitch_use(config);
}

static void look_up(struct scene *s)
{
    struct passwd user, *found = NULL;
    gid_t groups[64];
    char buf[16], more[4096];
    int count = 64;

    CALL(&s->report, getpwnam_r("root", &user, buf, sizeof(buf), &found));
    CALL(&s->report, getpwnam_r("root", &user, more, sizeof(more), &found));
    report(&s->report, "%s %d\n", found->pw_dir, (int)found->pw_uid);
    report(&s->report, "%s\n", getpwnam("root")->pw_name);
    CALL(&s->report, getpwnam("nobody-has-this-name") == NULL);
    report(&s->report, "%s %s\n", getpwuid(0)->pw_name, getgrgid(0)->gr_name);
    CALL(&s->report, getgrnam("nobody-has-this-name") == NULL);
    CALL(&s->report, getgrouplist("root", 0, groups, &count));
    report(&s->report, "%d\n", count);
    CALL(&s->report, getservbyname("nobody-has-this-name", "tcp") == NULL);
    CALL(&s->report, getprotobyname("nobody-has-this-name") == NULL);
}

static void look_up_more(struct scene *s)
{
    struct netent net, *found_net = NULL;
    struct ether_addr address = {{0}};
    char buf[4096], tiny[1];
    struct spwd shadow, *found = NULL;
    int host_error = 0;

    CALL(&s->report, getspnam_r("root", &shadow, tiny, sizeof(tiny), &found));
    CALL(&s->report, getspnam_r("root", &shadow, buf, sizeof(buf), &found));
    report(&s->report, "%s\n", found ? found->sp_namp : "no permission");
    CALL(&s->report, getspnam("nobody-has-this-name") == NULL);
    CALL(&s->report, getsgnam("nobody-has-this-name") == NULL);
    CALL(&s->report, getrpcbyname("nobody-has-this-name") == NULL);
    CALL(&s->report, getrpcbynumber(999999) == NULL);
    CALL(&s->report, getaliasbyname("nobody-has-this-name") == NULL);
    CALL(&s->report, getnetbyname_r("nothing", &net, buf, sizeof(buf), &found_net, &host_error));
    report(&s->report, "%d\n", host_error);
    report(&s->report, "%d\n", getnetbyname("nothing") == NULL);
    report(&s->report, "%d\n", getnetbyaddr(0x7f123456, AF_INET) == NULL);
    report(&s->report, "%d\n", innetgr("nothing", "host", "user", "domain"));
    report(&s->report, "%d %d\n", ether_hostton("nothing", &address) != 0, ether_ntohost(buf, &address) != 0);
}

static void be_slow(void)
{
    libc = *real();
    real_calls.getpwnam_r = slow_getpwnam_r;
    real_calls.getgrgid_r = slow_getgrgid_r;
    real_calls.getservbyname_r = slow_getservbyname_r;
    real_calls.getgrouplist = slow_getgrouplist;
    real_calls.getspnam_r = slow_getspnam_r;
    real_calls.getnetbyname_r = slow_getnetbyname_r;
    real_calls.innetgr = slow_innetgr;
    real_calls.ether_hostton = slow_ether_hostton;
}

static void test_daemon(void **state)
{
    use_config("passwd: files sss\ngroup: files systemd # a comment\nservices: db files\nhosts: files dns\n");
    be_slow();
    compare(look_up, 3 * BEATS);
    use_config("shadow: files sss\ngshadow: sss\nrpc: db files\naliases: nis\nnetworks: files dns\nnetgroup: nis\n"
               "ethers: db files\n");
    compare(look_up_more, 4 * BEATS);
    real_calls = libc;
    nsswitch_use(NULL);
    unlink(config);
}

/* From files only: at once, on the coroutine. */
static pthread_t looked_up_by;

static int note_getpwnam_r(const char *name, struct passwd *out, char *buf, size_t size, struct passwd **result)
{
    looked_up_by = libc.pthread_self();
    return libc.getpwnam_r(name, out, buf, size, result);
}

static void look_up_once(void *same)
{
    struct passwd user, *found;
    char buf[4096];

    assert_int_equal(getpwnam_r("root", &user, buf, sizeof(buf), &found), 0);
    assert_int_equal(pthread_equal(looked_up_by, libc.pthread_self()) != 0, *(bool *)same);
}

static void test_files(void **state)
{
    static const struct {
        const char *text;
        bool same;
    } configs[] = {
        {"passwd: files\n", true}, {"passwd:files # sss\nshadow: sss\n", true},       {"passwd: compat\n", false},
        {"group: sss\n", true},    {"passwd: files [NOTFOUND=return] ldap\n", false},
    };

    libc = *real();
    real_calls.getpwnam_r = note_getpwnam_r;
    for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
        bool same = configs[i].same;

        use_config(configs[i].text);
        RUN(&same, look_up_once);
        unlink(config);
    }
    real_calls = libc;
    nsswitch_use(NULL);
}

/* ---- syslog ---- */

static char last_message[256];
static int last_priority;
static bool on_thread;

/* What libc's does while the daemon does not read. */
static void slow_syslog(int priority, const char *format, ...)
{
    va_list ap;

    usleep(on_thread ? LATER_MS * 1000 : 0);
    va_start(ap, format);
    vsnprintf(last_message, sizeof(last_message), format, ap);
    va_end(ap);
    last_priority = priority;
}

static void log_lines(void *arg)
{
    struct run *run = arg;
    int before = run->beats;

    errno = ENOENT;
    syslog(LOG_INFO | LOG_USER, "a %s: %m", "file");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(last_message, "a file: No such file or directory");
    assert_int_equal(last_priority, LOG_INFO | LOG_USER);
    if (on_thread)
        assert_true(run->beats >= before + BEATS);
    setlogmask(LOG_UPTO(LOG_ERR));
    syslog(LOG_DEBUG, "not logged");
    setlogmask(LOG_UPTO(LOG_DEBUG));
    assert_string_equal(last_message, "a file: No such file or directory");
    run->over = true;
}

static void run_log_lines(void)
{
    struct run run = {0};

    RUN(&run, log_lines, tick);
}

static void test_syslog(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/tmp/test_libc_nss.log"};
    int daemon = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), client = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    unlink(at.sun_path);
    assert_int_equal(bind(daemon, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    libc = *real();
    real_calls.syslog = slow_syslog;
    syslog_use(at.sun_path);
    on_thread = false;
    run_log_lines();
    while (send(client, "full", 4, MSG_DONTWAIT) > 0)
        ;
    on_thread = true;
    run_log_lines();
    syslog_use("/tmp/nobody-has-this-socket");
    on_thread = false;
    run_log_lines();
    real_calls = libc;
    syslog_use(NULL);
    close(client);
    close(daemon);
    unlink(at.sun_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daemon),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_syslog),
    };

    return cmocka_run_group_tests(tests, libc_test_setup, libc_test_teardown);
}
