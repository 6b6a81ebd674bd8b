/*
 * prometheus_dir.c: the folder by which prometheus_client in applications adds up what several processes count.
 *
 * In its multiprocess mode the library keeps the values of each process in files of this folder, which whoever is
 * scraped reads. It is to have none at a start, and gauges of the modes live* are to be removed when their process has
 * ended: what the library's mark_process_dead() does. The files of counters stay, for sums must not go back. A new
 * binary (SIGUSR2) goes on with what is there.
 */
#include "process/prometheus_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "log/log.h"
#include "process/inherit.h"

#define VARIABLE "PROMETHEUS_MULTIPROC_DIR"

/* What the names of the library's files begin with. */
static const char *const kinds[] = {"counter_", "gauge_", "histogram_", "summary_"};

/* Remove the files whose names begin and end so. */
static void remove_files(const char *path, const char *begin, const char *end)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        size_t size = strlen(entry->d_name), end_size = strlen(end);

        if (size >= end_size && !strcmp(entry->d_name + size - end_size, end) &&
            !strncmp(entry->d_name, begin, strlen(begin)) && unlinkat(dirfd(dir), entry->d_name, 0) < 0 &&
            errno != ENOENT)
            log_warn("cannot remove %s/%s: %m", path, entry->d_name);
    }
    if (dir)
        closedir(dir);
}

int prometheus_dir_prepare(const struct process_settings *s)
{
    const char *path = s->prometheus_dir;
    uid_t uid = s->user ? s->uid : (uid_t)-1;
    gid_t gid = s->has_group ? s->gid : (gid_t)-1;

    if (!path)
        return 0;
    if ((mkdir(path, 0700) < 0 && errno != EEXIST) || ((s->user || s->has_group) && chown(path, uid, gid) < 0)) {
        int err = -errno;

        log_error("cannot make the folder %s (prometheus-multiproc-dir): %m", path);
        return err;
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds) && !inherit_predecessor(); i++)
        remove_files(path, kinds[i], ".db");
    return 0;
}

void prometheus_dir_export(const struct process_settings *s)
{
    if (s->prometheus_dir)
        setenv(VARIABLE, s->prometheus_dir, 1);
}

void prometheus_dir_end(const struct process_settings *s, pid_t pid)
{
    char end[32];

    snprintf(end, sizeof(end), "_%d.db", (int)pid);
    if (s->prometheus_dir)
        remove_files(s->prometheus_dir, "gauge_live", end);
}
