/*
 * test_cpus.c: the CPU quota of cgroups, with proc and sys files of the test's own.
 */
#include <sched.h>

#include "conf_test.h"
#include "settings/cpus.h"

#define V2   "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1   "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
#define SET  "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
#define NONE INT64_MAX

/* Write a file below the directory "root", with the directories that it needs. */
static void put_below(const char *name, const char *text)
{
    char path[300] = "root";

    for (const char *slash = name; slash; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof(path), "root%.*s", (int)(slash - name), name);
        mkdir(path, 0700);
    }
    snprintf(path, sizeof(path), "root%s", name);
    put_ini_file(path, text);
}

/* The quota with these files: the text of /proc/self/cgroup and mountinfo, then names and texts; ends with NULL. */
static int64_t quota_with(const char *cgroup, const char *mountinfo, const char *const *files)
{
    assert_int_equal(system("rm -rf root"), 0);
    put_below("/proc/self/cgroup", cgroup);
    put_below("/proc/self/mountinfo", mountinfo);
    for (; *files; files += 2)
        put_below(files[0], files[1]);
    return cpus_quota("root");
}

#define QUOTA(cgroup, mountinfo, ...) quota_with(cgroup, mountinfo, (const char *const[]){__VA_ARGS__, NULL})

static void test_v2(void **state)
{
    const char *file = "/sys/fs/cgroup/cpu.max";

    assert_int_equal(QUOTA("0::/\n", V2, file, "200000 100000\n"), 2);
    assert_int_equal(QUOTA("0::/\n", V2, file, "200001 100000\n"), 3);
    assert_int_equal(QUOTA("0::/\n", V2, file, "150000 100000\n"), 2);
    assert_int_equal(QUOTA("0::/\n", V2, file, "1000 100000\n"), 1);
    assert_int_equal(QUOTA("0::/\n", V2, file, "100000 200000\n"), 1);
    assert_int_equal(QUOTA("0::/\n", V2, file, "max 100000\n"), NONE);
    assert_int_equal(QUOTA("0::/\n", V2, file, ""), NONE);
    assert_int_equal(QUOTA("0::/\n", V2, file, "0 0\n"), NONE);
    assert_int_equal(QUOTA("0::/\n", V2, "/sys/fs/cgroup/cgroup.procs", "1\n"), NONE); /* the root has no cpu.max */
}

static void test_every_level_counts(void **state)
{
    const char *group = "0::/system.slice/shop.service\n";

    assert_int_equal(QUOTA(group, V2, "/sys/fs/cgroup/system.slice/shop.service/cpu.max", "300000 100000\n"), 3);
    assert_int_equal(QUOTA(group, V2, "/sys/fs/cgroup/system.slice/cpu.max", "200000 100000\n",
                           "/sys/fs/cgroup/system.slice/shop.service/cpu.max", "300000 100000\n"),
                     2);
    assert_int_equal(QUOTA(group, V2, "/sys/fs/cgroup/system.slice/cpu.max", "max 100000\n",
                           "/sys/fs/cgroup/system.slice/shop.service/cpu.max", "300000 100000\n"),
                     3);
    assert_int_equal(QUOTA(group, V2, "/sys/fs/cgroup/cpu.max", "100000 100000\n",
                           "/sys/fs/cgroup/system.slice/shop.service/cpu.max", "max 100000\n"),
                     1);
    assert_int_equal(QUOTA(group, V2, "/sys/fs/cgroup/system.slice/other.service/cpu.max", "100000 100000\n"), NONE);
}

static void test_v1(void **state)
{
    const char *group = "5:cpuset:/\n4:cpu,cpuacct:/docker/a\n";
    const char *quota = "/sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us";
    const char *period = "/sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us";

    assert_int_equal(QUOTA(group, SET V1, quota, "250000\n", period, "100000\n"), 3);
    assert_int_equal(QUOTA(group, SET V1, quota, "50000\n", period, "50000\n"), 1);
    assert_int_equal(QUOTA(group, SET V1, quota, "-1\n", period, "100000\n"), NONE);
    assert_int_equal(QUOTA(group, SET, quota, "50000\n", period, "50000\n"), NONE);
    assert_int_equal(QUOTA("4:cpuacct:/docker/a\n5:cpuset:/docker/a\n", SET V1, quota, "5\n", period, "5\n"), NONE);
}

static void test_both_versions(void **state)
{
    const char *v1_quota = "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us";
    const char *v1_period = "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us";

    assert_int_equal(QUOTA("4:cpu,cpuacct:/\n0::/\n", V2 V1, v1_quota, "400000\n", v1_period, "100000\n",
                           "/sys/fs/cgroup/cpu.max", "500000 100000\n"),
                     4);
    assert_int_equal(QUOTA("0::/\n4:cpu,cpuacct:/\n", V1 V2, v1_quota, "400000\n", v1_period, "100000\n",
                           "/sys/fs/cgroup/cpu.max", "300000 100000\n"),
                     3);
}

/* A container may see a part of the hierarchy, by a mount of that part or by a namespace. */
static void test_parts_of_a_hierarchy(void **state)
{
    const char *file = "/sys/fs/cgroup/cpu.max";
    const char *part = "30 23 0:26 /docker/a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    assert_int_equal(QUOTA("0::/docker/a\n", part, file, "200000 100000\n"), 2);
    assert_int_equal(QUOTA("0::/docker/a/b\n", part, file, "max 100000\n", "/sys/fs/cgroup/b/cpu.max", "400 100\n"), 4);
    assert_int_equal(QUOTA("0::/docker/abc\n", part, file, "300 100\n", "/sys/fs/cgroup/bc/cpu.max", "1 1\n"), 3);
    assert_int_equal(QUOTA("0::/elsewhere\n", part, file, "200000 100000\n"), 2);
    assert_int_equal(QUOTA("0::/../other\n", V2, file, "200000 100000\n", "/sys/fs/other/cpu.max", "1 1\n"), 2);
}

static void test_mount_point_with_a_blank(void **state)
{
    assert_int_equal(QUOTA("0::/a b\n", "30 23 0:26 / /my\\040groups rw shared:4 - cgroup2 none rw\n",
                           "/my groups/a b/cpu.max", "200 100\n"),
                     2);
}

static void test_files_that_make_no_sense(void **state)
{
    assert_int_equal(QUOTA("", "", "/x", ""), NONE);
    assert_int_equal(QUOTA("0\n0:\n:\n::\n\n", "\n - \n - cgroup2\n1 2 3 - cgroup2 x rw\n" V2, "/x", ""), NONE);
    assert_int_equal(cpus_quota("no such directory"), NONE);
}

static void test_count(void **state)
{
    cpu_set_t set, one;

    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    assert_in_range(cpus_count(), 1, CPU_COUNT(&set));
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &set))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(cpus_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2),
        cmocka_unit_test(test_every_level_counts),
        cmocka_unit_test(test_v1),
        cmocka_unit_test(test_both_versions),
        cmocka_unit_test(test_parts_of_a_hierarchy),
        cmocka_unit_test(test_mount_point_with_a_blank),
        cmocka_unit_test(test_files_that_make_no_sense),
        cmocka_unit_test(test_count),
    };

    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
