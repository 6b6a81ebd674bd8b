/* Calls on files: in memory they are made at once, on the coroutine; on a slow file system, and fsync, on the pool.
 * What is slow is a function in place of libc's. */
#include "libc_test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/real.h"

#define CALLS 40

static struct real_calls libc; /* as it is */
static char folder[] = "/tmp/test_libc_disk.XXXXXX", file[PATH_MAX];
static useconds_t delay; /* of each call, microseconds */
static int here, away;   /* calls that were made on the loop's thread, and on others */

static void note_call(void)
{
    if (wait_is_owner())
        here++;
    else
        away++;
    if (delay)
        usleep(delay);
}

static long slow_syscall(long number, ...)
{
    long a[6];
    va_list ap;

    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    note_call();
    return libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int slow_openat(int at, const char *path, int flags, ...)
{
    note_call();
    return libc.openat(at, path, flags, 0600);
}

static ssize_t slow_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    note_call();
    return libc.pwritev2(fd, iov, count, at, flags);
}

static bool is_cold;

static ssize_t cold_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    if (flags & RWF_NOWAIT && is_cold) {
        errno = EAGAIN;
        return -1;
    }
    note_call();
    return libc.preadv2(fd, iov, count, at, flags);
}

static void begin(useconds_t length)
{
    delay = length;
    here = away = 0;
}

/* ---- the calls ---- */

static void stat_often(void *arg)
{
    struct stat st;

    for (int i = 0; i < CALLS; i++) {
        errno = 7;
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(errno, 7);
    }
}

static void call_all(void *arg)
{
    char name[PATH_MAX], other[PATH_MAX], text[PATH_MAX];
    struct stat st;

    snprintf(name, sizeof(name), "%s/a", folder);
    snprintf(other, sizeof(other), "%s/b", folder);
    assert_int_equal(mkdir(name, 0700), 0);
    assert_int_equal(mkdir(name, 0700), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(rmdir(name), 0);
    assert_int_equal(symlink("target", name), 0);
    assert_int_equal(readlink(name, text, sizeof(text)), 6);
    assert_int_equal(lstat(name, &st), 0);
    assert_int_equal(rename(name, other), 0);
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(remove(other), 0);
    assert_int_equal(link(file, other), 0);
    assert_int_equal(chmod(other, 0600), 0);
    assert_int_equal(truncate(other, 5), 0);
    assert_int_equal(stat(other, &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(unlink(other), 0);
}

static void open_and_write(void *arg)
{
    int fd = open(file, O_RDWR);

    assert_true(fd >= 0);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(write(fd, "12345", 5), 5);
    assert_int_equal(pwrite(fd, "x", 1, 2), 1);
    assert_int_equal(close(fd), 0);
}

static void sync_file(void *arg)
{
    int fd = open(file, O_RDWR);

    begin(0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(fdatasync(fd), 0);
    assert_int_equal(fsync(-1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(close(fd), 0);
}

static void read_file(void *arg)
{
    char buf[8];
    int fd = open(file, O_RDONLY);

    begin(0);
    assert_int_equal(pread(fd, buf, 5, 0), 5);
    assert_memory_equal(buf, "12x45", 5);
    assert_int_equal(read(fd, buf, 4), 4);
    assert_int_equal(pread(fd, buf, 8, 1000000), 0);
    assert_int_equal(close(fd), 0);
}

static void list_folder(void *arg)
{
    DIR *dir = opendir(folder);
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    assert_int_equal(count, 3);
    assert_null(opendir(file));
    assert_int_equal(errno, ENOTDIR);
}

static void run_disk_call(void (*fn)(void *arg))
{
    RUN(NULL, fn);
}

/* ---- the tests ---- */

static void test_reads(void **state)
{
    real_calls.preadv2 = cold_preadv2;
    run_disk_call(open_and_write);
    is_cold = false;
    run_disk_call(read_file);
    assert_int_equal(away, 0);
    is_cold = true;
    run_disk_call(read_file);
    assert_int_equal(here, 0);
    assert_int_equal(away, 3);
    is_cold = false;
}

static void test_sync(void **state)
{
    real_calls.syscall = slow_syscall;
    run_disk_call(sync_file);
    assert_int_equal(away, 3);
}

/* The second slow call has the next ones go to the pool, until they are quick again. */
static void test_slow(void **state)
{
    struct stat st;

    real_calls.syscall = slow_syscall;
    begin(5000);
    assert_int_equal(stat(file, &st), 0);
    begin(0);
    run_disk_call(stat_often);
    run_disk_call(call_all);
    run_disk_call(list_folder);
    assert_int_equal(away, 0);
    begin(5000);
    run_disk_call(stat_often);
    assert_in_range(here, 1, 3);
    begin(5000);
    run_disk_call(call_all);
    assert_in_range(here, 0, 5); /* of these that look for the device */
    begin(0);
    run_disk_call(stat_often);
    run_disk_call(stat_often);
    begin(0);
    run_disk_call(stat_often);
    assert_int_equal(away, 0);
}

static void test_slow_files(void **state)
{
    real_calls.pwritev2 = slow_pwritev2;
    real_calls.openat = slow_openat;
    begin(5000);
    run_disk_call(open_and_write);
    assert_in_range(here, 1, 3);
    for (int i = 0; i < 3; i++) {
        begin(0);
        run_disk_call(open_and_write);
    }
    assert_int_equal(away, 0);
}

static int disk_setup(void **state)
{
    int fd;

    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/file", folder);
    fd = open(file, O_CREAT | O_RDWR, 0600);
    assert_int_equal(close(fd), 0);
    libc = *real();
    return libc_test_setup(state);
}

static int disk_teardown(void **state)
{
    int result = libc_test_teardown(state);

    unlink(file);
    rmdir(folder);
    return result;
}

static int disk_restore(void **state)
{
    real_calls = libc;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_reads, disk_restore),
        cmocka_unit_test_teardown(test_sync, disk_restore),
        cmocka_unit_test_teardown(test_slow, disk_restore),
        cmocka_unit_test_teardown(test_slow_files, disk_restore),
    };

    return cmocka_run_group_tests(tests, disk_setup, disk_teardown);
}
