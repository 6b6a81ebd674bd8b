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
#include <fcntl.h>
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

/* Returns a descriptor of the folder itself, not of what a link there leads to: the master is root, and the folder
 * above may be a user's. -1 with errno. */
static int open_counts_folder(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), end_size = strlen(end);

    return size >= end_size && !strcmp(name + size - end_size, end);
}

static bool is_of_library(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strncmp(name, kinds[i], strlen(kinds[i])))
            return true;
    return false;
}

/* Remove the library's files of that beginning and end. Returns 0; -EEXIST, and logs it, if there are others of that
 * end, which the library would take for its own. */
static int remove_files(const char *path, const char *begin, const char *end)
{
    int fd = open_counts_folder(path), err = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        const char *name = entry->d_name;

        if (!ends_with(name, end) || strncmp(name, begin, strlen(begin)) != 0)
            continue;
        if (!is_of_library(name)) {
            log_error("%s/%s is no file of prometheus_client: give that a folder of its own (prometheus-multiproc-dir)",
                      path, name);
            err = -EEXIST;
        } else if (unlinkat(dirfd(dir), name, 0) < 0 && errno != ENOENT) {
            log_warn("cannot remove %s/%s: %m", path, name);
        }
    }
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    return err;
}

/* Have the workers write to the folder, which root has made, now or earlier. Returns -1 with errno. */
static int give_folder(const struct process_settings *s, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -1;
    if (st.st_uid != geteuid() || (!s->user && !s->has_group))
        return 0;
    return fchown(fd, s->user ? s->uid : (uid_t)-1, s->has_group ? s->gid : (gid_t)-1);
}

static int make_folder(const struct process_settings *s, const char *path)
{
    int fd, result;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    fd = open_counts_folder(path);
    if (fd < 0)
        return -1;
    result = give_folder(s, fd);
    close(fd);
    return result;
}

int prometheus_dir_prepare(const struct process_settings *s)
{
    const char *path = s->prometheus_dir;

    if (!path)
        return 0;
    if (make_folder(s, path) < 0) {
        int err = -errno;

        log_error("cannot make the folder %s (prometheus-multiproc-dir): %m", path);
        return err;
    }
    return inherit_predecessor() ? 0 : remove_files(path, "", ".db");
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
