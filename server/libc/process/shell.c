/*
 * shell.c: system, popen and pclose.
 *
 * Each runs /bin/sh by posix_spawn, whose child makes no call of ours, and waits by waitpid, which parks. libc's own
 * streams read and write inside libc, where nothing can park them; so popen gives a stream with functions of its own
 * (fopencookie) that lead to our read and write. Its descriptor is closed in programs started later, with or without
 * the "e" in the mode: no other command's input or output is ever kept open by accident.
 */
#include <errno.h>
#include <spawn.h>
#include <string.h>

#include "base/mem.h"
#include "libc/runtime/park.h"
#include "base/real.h"
#include "base/list.h"

static const char shell[] = "/bin/sh";

static int spawn_shell(pid_t *pid, const char *command, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes)
{
    char *const argv[] = {"sh", "-c", (char *)command, NULL};

    return posix_spawn(pid, shell, actions, attributes, argv, environ);
}

/* The status of a child of ours, or -1 with errno. */
static int status_of(pid_t pid)
{
    int status;
    pid_t found;

    do
        found = waitpid(pid, &status, 0);
    while (found < 0 && errno == EINTR);
    return found == pid ? status : -1;
}

/* ---- system ---- */

/* While the command of the main coroutine runs, the keys that interrupt are for it, as POSIX wants. A request's command
 * has no terminal, and must not keep signals from the server. */
struct keys {
    struct sigaction interrupt, quit;
};

static void keys_ignore(struct keys *keys)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGINT, &ignore, &keys->interrupt);
    sigaction(SIGQUIT, &ignore, &keys->quit);
}

static void keys_restore(const struct keys *keys)
{
    sigaction(SIGINT, &keys->interrupt, NULL);
    sigaction(SIGQUIT, &keys->quit, NULL);
}

/* Start the command with the signal handling that its caller began with. */
static int spawn_as_before(pid_t *pid, const char *command, const struct keys *keys)
{
    posix_spawnattr_t attributes;
    sigset_t handled;
    int err;

    sigemptyset(&handled);
    if (keys->interrupt.sa_handler != SIG_IGN)
        sigaddset(&handled, SIGINT);
    if (keys->quit.sa_handler != SIG_IGN)
        sigaddset(&handled, SIGQUIT);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &handled);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    err = spawn_shell(pid, command, NULL, &attributes);
    posix_spawnattr_destroy(&attributes);
    return err;
}

static int run_as_main(const char *command)
{
    struct keys keys;
    pid_t pid;
    int err, status = W_EXITCODE(127, 0); /* what a shell that cannot be run would have answered */

    keys_ignore(&keys);
    err = spawn_as_before(&pid, command, &keys);
    if (!err)
        status = status_of(pid);
    keys_restore(&keys);
    if (err)
        errno = err;
    return status;
}

static int run(const char *command)
{
    pid_t pid;
    int err = spawn_shell(&pid, command, NULL, NULL);

    if (!err)
        return status_of(pid);
    errno = err;
    return W_EXITCODE(127, 0);
}

int system(const char *command)
{
    if (!coro_self() || !park_possible())
        return real()->system(command);
    if (!command)
        return run("exit 0") == 0;
    return coro_self()->is_main ? run_as_main(command) : run(command);
}

/* ---- popen ---- */

struct stream {
    struct list link; /* in streams */
    FILE *file;
    int fd;
    pid_t pid;
};

static struct list streams = LIST_INIT(streams);
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t stream_read(void *arg, char *buf, size_t size)
{
    return read(((struct stream *)arg)->fd, buf, size);
}

static ssize_t stream_write(void *arg, const char *buf, size_t size)
{
    ssize_t put = write(((struct stream *)arg)->fd, buf, size);

    return put < 0 ? 0 : put;
}

static int stream_close(void *arg)
{
    return close(((struct stream *)arg)->fd);
}

static FILE *stream_file(struct stream *stream, const char *mode)
{
    cookie_io_functions_t functions = {.read = stream_read, .write = stream_write, .close = stream_close};
    FILE *file = fopencookie(stream, mode, functions);

    if (file)
        file->_fileno = stream->fd; /* for fileno(); libc sets it so for its own streams */
    return file;
}

/* Run command with one end of a pipe as its descriptor to (0 or 1). */
static int spawn_with(struct stream *stream, const char *command, int end, int to)
{
    posix_spawn_file_actions_t actions;
    int err;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, end, to);
    err = spawn_shell(&stream->pid, command, &actions, NULL);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

static void streams_add(struct stream *stream)
{
    real()->pthread_mutex_lock(&streams_lock);
    list_push(&streams, &stream->link);
    real()->pthread_mutex_unlock(&streams_lock);
}

/* Take the stream of that file out of the list; NULL if it is none of ours. */
static struct stream *streams_take(FILE *file)
{
    struct stream *found = NULL;
    struct list *node;

    real()->pthread_mutex_lock(&streams_lock);
    for (node = streams.next; node != &streams && !found; node = node->next)
        if (list_entry(node, struct stream, link)->file == file)
            found = list_entry(node, struct stream, link);
    if (found)
        list_remove(&found->link);
    real()->pthread_mutex_unlock(&streams_lock);
    return found;
}

static bool is_mode(const char *mode, char *direction)
{
    bool in = strchr(mode, 'r') != NULL, out = strchr(mode, 'w') != NULL;

    *direction = in ? 'r' : 'w';
    return in != out && mode[strspn(mode, "rwe")] == '\0';
}

static FILE *stream_open(const char *command, char direction)
{
    struct stream *stream = xmalloc(sizeof(*stream));
    const char mode[] = {direction, '\0'};
    int ends[2], ours = direction == 'r' ? 0 : 1, err;

    *stream = (struct stream){.fd = -1};
    if (pipe2(ends, O_CLOEXEC) < 0) {
        err = errno;
        goto out;
    }
    stream->fd = ends[ours];
    stream->file = stream_file(stream, mode);
    err = stream->file ? spawn_with(stream, command, ends[!ours], !ours) : errno;
    close(ends[!ours]);
    if (!err) {
        streams_add(stream);
        return stream->file;
    }
    if (stream->file)
        fclose(stream->file);
    else
        close(stream->fd);
out:
    free(stream);
    errno = err;
    return NULL;
}

FILE *popen(const char *command, const char *mode)
{
    char direction;

    if (!coro_self() || !is_mode(mode, &direction) || !park_possible())
        return real()->popen(command, mode);
    return stream_open(command, direction);
}

int pclose(FILE *file)
{
    struct stream *stream = streams_take(file);
    pid_t pid;

    if (!stream)
        return real()->pclose(file);
    pid = stream->pid;
    fclose(file);
    free(stream);
    return status_of(pid);
}
