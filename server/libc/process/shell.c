/*
 * shell.c: system, popen and pclose.
 *
 * Each runs /bin/sh by posix_spawn, whose child makes no interposed call, and waits by waitpid, which parks. libc's own
 * streams read and write inside libc, where they cannot park; so popen returns a stream with functions of its own
 * (fopencookie) that call our read and write. Its descriptor has close-on-exec, with or without the "e" in the mode, so
 * that no other command holds the pipe open by accident.
 */
#include <errno.h>
#include <spawn.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/real.h"
#include "libc/runtime/park.h"

static const char shell[] = "/bin/sh";

static int spawn_shell(pid_t *pid, const char *command, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes)
{
    char *const argv[] = {"sh", "-c", (char *)command, NULL};

    return posix_spawn(pid, shell, actions, attributes, argv, environ);
}

static void reap_shell(void *arg)
{
    waitpid((pid_t)(intptr_t)arg, NULL, 0);
}

/* Wait for the shell to end. Returns its status, or -1 with errno. If the coroutine is cancelled, the shell is sent
 * signum (0: none), and another coroutine waits for it: nobody else knows its process id, and it would stay a zombie.
 */
static int await_shell(pid_t pid, int signum)
{
    int status, err;
    pid_t found;

    while ((found = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        park_ignore(-EINTR);
    if (found == pid)
        return status;
    err = errno;
    if (err != ECHILD) {
        kill(pid, signum);
        wait_start(reap_shell, (void *)(intptr_t)pid);
    }
    errno = err;
    return -1;
}

/* ---- system ---- */

/* The handling of the signals that a terminal sends for Ctrl-C and Ctrl-\. POSIX says that system() ignores them while
 * the command runs, which gets them too. We do that on the main coroutine only: the command of a request has no
 * terminal, and must not make the server deaf to its signals. */
struct tty_keys {
    struct sigaction interrupt, quit;
};

static void tty_keys_ignore(struct tty_keys *keys)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGINT, &ignore, &keys->interrupt);
    sigaction(SIGQUIT, &ignore, &keys->quit);
}

static void tty_keys_restore(const struct tty_keys *keys)
{
    sigaction(SIGINT, &keys->interrupt, NULL);
    sigaction(SIGQUIT, &keys->quit, NULL);
}

/* Spawn the command with the handling of these signals that the caller of system() had. */
static int spawn_with_keys(pid_t *pid, const char *command, const struct tty_keys *keys)
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

static int system_on_main(const char *command)
{
    struct tty_keys keys;
    pid_t pid;
    int err, status = W_EXITCODE(127, 0); /* as if the shell could not be executed */

    tty_keys_ignore(&keys);
    err = spawn_with_keys(&pid, command, &keys);
    if (!err)
        status = await_shell(pid, SIGKILL);
    tty_keys_restore(&keys);
    if (err)
        errno = err;
    return status;
}

static int system_in_request(const char *command)
{
    pid_t pid;
    int err = spawn_shell(&pid, command, NULL, NULL);

    if (!err)
        return await_shell(pid, SIGKILL); /* as glibc in a thread that is cancelled */
    errno = err;
    return W_EXITCODE(127, 0);
}

int system(const char *command)
{
    if (!coro_self() || !park_possible())
        return real()->system(command);
    if (!command)
        return system_in_request("exit 0") == 0;
    return coro_self()->is_main ? system_on_main(command) : system_in_request(command);
}

/* ---- popen ---- */

/* What popen returns, to pclose. */
struct shell_stream {
    struct list link; /* in streams */
    FILE *file;
    int fd;
    pid_t pid;
};

static struct list streams = LIST_INIT(streams);
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t shell_stream_read(void *arg, char *buf, size_t size)
{
    return read(((struct shell_stream *)arg)->fd, buf, size);
}

static ssize_t shell_stream_write(void *arg, const char *buf, size_t size)
{
    ssize_t put = write(((struct shell_stream *)arg)->fd, buf, size);

    return put < 0 ? 0 : put;
}

static int shell_stream_close(void *arg)
{
    return close(((struct shell_stream *)arg)->fd);
}

static FILE *shell_stream_file(struct shell_stream *stream, const char *mode)
{
    cookie_io_functions_t functions = {
        .read = shell_stream_read, .write = shell_stream_write, .close = shell_stream_close};
    FILE *file = fopencookie(stream, mode, functions);

    if (file)
        file->_fileno = stream->fd; /* for fileno(); libc sets it so for its own streams */
    return file;
}

/* Spawn the command with one end of a pipe as its descriptor to (0 or 1). */
static int spawn_with_pipe(struct shell_stream *stream, const char *command, int end, int to)
{
    posix_spawn_file_actions_t actions;
    int err;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, end, to);
    err = spawn_shell(&stream->pid, command, &actions, NULL);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

static void shell_streams_add(struct shell_stream *stream)
{
    real()->pthread_mutex_lock(&streams_lock);
    list_push(&streams, &stream->link);
    real()->pthread_mutex_unlock(&streams_lock);
}

/* Take the stream of a file out of the list. Returns NULL if it is not one of ours. */
static struct shell_stream *shell_streams_take(FILE *file)
{
    struct shell_stream *found = NULL;
    struct list *node;

    real()->pthread_mutex_lock(&streams_lock);
    list_for_each (node, &streams)
        if (list_entry(node, struct shell_stream, link)->file == file)
            found = list_entry(node, struct shell_stream, link);
    if (found)
        list_remove(&found->link);
    real()->pthread_mutex_unlock(&streams_lock);
    return found;
}

/* Whether it is a valid mode of popen; *direction: r or w. */
static bool popen_mode(const char *mode, char *direction)
{
    bool in = strchr(mode, 'r') != NULL, out = strchr(mode, 'w') != NULL;

    *direction = in ? 'r' : 'w';
    return in != out && mode[strspn(mode, "rwe")] == '\0';
}

static FILE *shell_stream_open(const char *command, char direction)
{
    struct shell_stream *stream = xmalloc(sizeof(*stream));
    const char mode[] = {direction, '\0'};
    int ends[2], ours = direction == 'r' ? 0 : 1, err;

    *stream = (struct shell_stream){.fd = -1};
    if (pipe2(ends, O_CLOEXEC) < 0) {
        err = errno;
        goto out;
    }
    stream->fd = ends[ours];
    stream->file = shell_stream_file(stream, mode);
    err = stream->file ? spawn_with_pipe(stream, command, ends[!ours], !ours) : errno;
    close(ends[!ours]);
    if (!err) {
        shell_streams_add(stream);
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

    if (!coro_self() || !popen_mode(mode, &direction) || !park_possible())
        return real()->popen(command, mode);
    return shell_stream_open(command, direction);
}

int pclose(FILE *file)
{
    struct shell_stream *stream = shell_streams_take(file);
    pid_t pid;

    if (!stream)
        return real()->pclose(file);
    pid = stream->pid;
    fclose(file);
    free(stream);
    return await_shell(pid, 0);
}
