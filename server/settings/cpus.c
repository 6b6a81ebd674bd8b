/*
 * cpus.c: how many CPUs the server may use, for `workers = auto`.
 *
 * Two things limit it: the CPU affinity (taskset, cpuset), and the CPU quota of a cgroup, by which container runtimes,
 * Kubernetes (`limits.cpu`) and systemd (CPUQuota=) give a process a share of the machine's time. A cgroup has what its
 * parents leave it, so each one from that of the process up to the root of the hierarchy is asked. Version 2 has a
 * quota and a period in cpu.max, version 1 in cpu.cfs_quota_us and cpu.cfs_period_us; some systems have both
 * hierarchies.
 *
 * A quota of 1.5 CPUs counts as 2, as for Go 1.25, .NET and Java: a worker keeps one CPU busy at most, so with one the
 * half would be lost. Go counts at least 2, to run its garbage collector beside the program. Here it is at least 1: a
 * worker is a process with an interpreter and its memory, serves many requests at once, and two of them on half a CPU
 * are no faster. CPython's os.process_cpu_count() looks at the affinity only.
 */
#include "settings/cpus.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"

#define NO_QUOTA INT64_MAX

/* ---- the quota of one cgroup ---- */

static int64_t divide_up(int64_t quota, int64_t period)
{
    return quota > 0 && period > 0 ? (quota - 1) / period + 1 : NO_QUOTA;
}

/* Returns how many numbers a file begins with, at most two. */
static int read_numbers(const char *directory, const char *name, int64_t numbers[2])
{
    char path[PATH_MAX];
    FILE *in;
    int count = 0;

    if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
        return 0;
    in = fopen(path, "re");
    if (in) {
        count = fscanf(in, "%" SCNd64 " %" SCNd64, &numbers[0], &numbers[1]); /* 0 for "max 100000": no quota */
        fclose(in);
    }
    return count;
}

static int64_t quota_of_group(const char *directory)
{
    int64_t v2[2], quota[2], period[2];

    if (read_numbers(directory, "cpu.max", v2) == 2)
        return divide_up(v2[0], v2[1]);
    if (read_numbers(directory, "cpu.cfs_quota_us", quota) > 0 &&
        read_numbers(directory, "cpu.cfs_period_us", period) > 0)
        return divide_up(quota[0], period[0]); /* -1 is no quota */
    return NO_QUOTA;
}

/* The lowest quota of the cgroup directory and of those above it, up to the one whose path has size bytes. */
static int64_t quota_of_path(char *directory, size_t size)
{
    int64_t lowest = quota_of_group(directory);

    while (strlen(directory) > size) {
        *strrchr(directory, '/') = '\0';
        lowest = min_int64(lowest, quota_of_group(directory));
    }
    return lowest;
}

/* ---- where the cgroups are ---- */

/* A hierarchy as /proc/self/cgroup shows it. */
struct hierarchy {
    bool is_v2;
    const char *group; /* path of the process's cgroup in it */
};

/* Whether a list "cpu,cpuacct" has the word. */
static bool has_word(const char *list, const char *word)
{
    size_t size = strlen(word);

    for (; list; list = strchr(list, ',')) {
        list += *list == ',';
        if (!strncmp(list, word, size) && (!list[size] || list[size] == ','))
            return true;
    }
    return false;
}

/* Parse "0::/a" (version 2), or "4:cpu,cpuacct:/a". Returns false for hierarchies that limit other things. */
static bool parse_hierarchy(struct hierarchy *h, char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!path)
        return false;
    *controllers++ = *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    *h = (struct hierarchy){.is_v2 = !*controllers, .group = path};
    return h->is_v2 || has_word(controllers, "cpu");
}

/* In mountinfo blanks and backslashes in paths are written as \040 and the like: write them as they are. */
static void unescape_path(char *path)
{
    char *to = path;

    for (char *from = path; *from; to++) {
        unsigned byte;

        if (*from == '\\' && sscanf(from + 1, "%3o", &byte) == 1) {
            *to = (char)byte;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Parse a line of mountinfo, proc(5). Returns the mount point if the hierarchy is mounted there, and in *top the cgroup
 * that one sees there; else NULL. */
static char *parse_mount(char *line, const struct hierarchy *h, char **top)
{
    char *type = strstr(line, " - "), *words[5], *at = line;
    char options[256] = "";
    char kind[16] = "";

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = strsep(&at, " ");
    if (!type || !words[4] || sscanf(type + 3, "%15s %*s %255s", kind, options) != 2)
        return NULL;
    if (strcmp(kind, h->is_v2 ? "cgroup2" : "cgroup") || (!h->is_v2 && !has_word(options, "cpu")))
        return NULL;
    unescape_path(words[3]);
    unescape_path(words[4]);
    *top = words[3];
    return words[4];
}

/* Returns the part of the group's path below top. A group that is not below it cannot be seen: then it is top itself,
 * as in containers that have a part of the hierarchy mounted, but no cgroup namespace. */
static const char *path_below(const char *group, const char *top)
{
    size_t size = strcmp(top, "/") ? strlen(top) : 0;

    if (strncmp(group, top, size) || strstr(group, "/..") || (group[size] && group[size] != '/'))
        return "";
    return strcmp(group + size, "/") ? group + size : "";
}

static int64_t quota_of_hierarchy(const char *root, const struct hierarchy *h)
{
    char path[PATH_MAX], *line = NULL, *top;
    int64_t quota = NO_QUOTA;
    size_t capacity = 0;
    FILE *in;

    snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
    in = fopen(path, "re");
    while (in && quota == NO_QUOTA && getline(&line, &capacity, in) > 0) {
        const char *point = parse_mount(line, h, &top);
        size_t size = point ? strlen(root) + strlen(point) : 0;

        if (point && snprintf(path, sizeof(path), "%s%s%s", root, point, path_below(h->group, top)) < (int)sizeof(path))
            quota = quota_of_path(path, size);
    }
    if (in)
        fclose(in);
    free(line);
    return quota;
}

int64_t cpus_quota(const char *root)
{
    char path[PATH_MAX], *line = NULL;
    int64_t lowest = NO_QUOTA;
    size_t capacity = 0;
    FILE *in;

    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    in = fopen(path, "re");
    while (in && getline(&line, &capacity, in) > 0) {
        struct hierarchy h;

        if (parse_hierarchy(&h, line))
            lowest = min_int64(lowest, quota_of_hierarchy(root, &h));
    }
    if (in)
        fclose(in);
    free(line);
    return lowest;
}

static int64_t affinity_size(void)
{
    cpu_set_t set;

    if (!sched_getaffinity(0, sizeof(set), &set))
        return CPU_COUNT(&set);
    return sysconf(_SC_NPROCESSORS_ONLN); /* the set has room for 1024 CPUs, and this machine has more */
}

int64_t cpus_count(void)
{
    return max_int64(1, min_int64(affinity_size(), cpus_quota("")));
}

int64_t cpus_threads(void)
{
    return min_int64(2 * cpus_count(), MAX_THREADS);
}
