/*
 * interpreter.c: which Python interpreter the server is to run in.
 *
 * A path is not resolved, since CPython finds a virtualenv by the directory of the link that it was started by. On PATH
 * an interpreter is passed over if the name of its file says that it has no bridge: `python3` may be a link to
 * python3.9. Everywhere else somebody has chosen it, and is told what is wrong with it.
 *
 * pyenv and others put scripts on PATH that start an interpreter. Such a script is asked for the path of that.
 */
#include "host/interpreter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/self.h"
#include "host/elf.h"
#include "host/host.h"

#define NAME_SIZE   64 /* bytes of the name of a command */
#define ASK         "import sys; print(sys.executable)"
#define ASK_SECONDS 10

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin" /* where there is no PATH */

/* ---- one path ---- */

static bool is_directory(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static bool is_executable(const char *path)
{
    return !access(path, X_OK) && !is_directory(path);
}

/* Write the version in the name of a command, "3.11" of python3.11; an empty one if there is none. */
static void version_of_name(const char *name, char version[NAME_SIZE])
{
    *version = '\0';
    if (!strncmp(name, "python", 6) && strchr(name, '.'))
        snprintf(version, NAME_SIZE, "%s", name + 6);
}

/* Whether there is a bridge for the interpreter, as far as the name of its file says. */
static bool may_have_bridge(const char *path, const char *const *versions)
{
    char real[PATH_MAX], version[NAME_SIZE];

    if (!realpath(path, real))
        return false;
    version_of_name(strrchr(real, '/') + 1, version);
    for (; *versions && *version; versions++)
        if (!strcmp(*versions, version))
            return true;
    return !*version;
}

/* Start `path -c ASK`, with its standard output in a pipe. Returns its pid, or a negative errno. */
static pid_t start_script(char *path, int *out)
{
    char *argv[] = {path, "-c", ASK, NULL};
    posix_spawn_file_actions_t actions;
    int pipe[2], err;
    pid_t pid;

    if (pipe2(pipe, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    err = posix_spawn(&pid, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe[1]);
    if (err)
        close(pipe[0]);
    *out = pipe[0];
    return err ? -err : pid;
}

/* Read the first line that a script writes, which may take it ASK_SECONDS. Returns whether there was one. */
static bool read_answer(int fd, char line[PATH_MAX])
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    size_t size = 0;
    char *end = NULL;

    while (!end && size < PATH_MAX - 1 && poll(&readable, 1, ASK_SECONDS * 1000) > 0) {
        ssize_t n = read(fd, line + size, PATH_MAX - 1 - size);

        if (n <= 0)
            break;
        size += (size_t)n;
        line[size] = '\0';
        end = strchr(line, '\n');
    }
    if (end)
        *end = '\0';
    return end;
}

/* Put the interpreter that a script starts in place of its path. Returns false if there is none, after a message. */
static bool ask_script(char path[PATH_MAX], char *why)
{
    char line[PATH_MAX];
    int out = -1;
    pid_t pid = start_script(path, &out);
    bool found = pid > 0 && read_answer(out, line) && *line == '/';

    if (pid > 0) {
        close(out);
        if (!found)
            kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    if (found)
        strcpy(path, line);
    else
        snprintf(why, HOST_WHY_SIZE, "%s is a script, and did not say within %d s which Python it starts", path,
                 ASK_SECONDS);
    return found;
}

/* ---- the places ---- */

/* Take the path of an interpreter that somebody has chosen. origin is for the message. */
static bool take_chosen(const char *origin, const char *chosen, char path[PATH_MAX], char *why)
{
    char here[PATH_MAX] = "";

    if (*chosen != '/' && !getcwd(here, sizeof(here)))
        here[0] = '\0';
    if (snprintf(path, PATH_MAX, "%s%s%s", here, *here ? "/" : "", chosen) < PATH_MAX && is_executable(path))
        return true;
    if (is_directory(path)) {
        snprintf(why, HOST_WHY_SIZE,
                 "%s = %s: this is a directory: write the path of its python, such as %s/bin/python", origin, chosen,
                 chosen);
        return false;
    }
    snprintf(why, HOST_WHY_SIZE, "%s: there is no Python at %s", origin, chosen);
    return false;
}

static bool take_virtualenv(const char *origin, const char *directory, char path[PATH_MAX], char *why)
{
    if (snprintf(path, PATH_MAX, "%s/bin/python", directory) < PATH_MAX && is_executable(path))
        return true;
    snprintf(why, HOST_WHY_SIZE, "%s = %s: this is not a virtualenv (it has no bin/python)", origin, directory);
    return false;
}

/* Look for bin/python where this executable is, as in a virtualenv into which pip has installed the server. */
static bool find_beside(char path[PATH_MAX])
{
    char executable[PATH_MAX];

    if (!self_executable(executable))
        return false;
    *strrchr(executable, '/') = '\0';
    return snprintf(path, PATH_MAX, "%s/python3", executable) < PATH_MAX && is_executable(path);
}

/* Whether a path is that of an interpreter, one that may have a bridge unless versions is NULL. A script is replaced by
 * what it starts. */
static bool is_interpreter(char path[PATH_MAX], const char *const *versions)
{
    char unused[HOST_WHY_SIZE];

    return *path == '/' && is_executable(path) && (!elf_is_script(path) || ask_script(path, unused)) &&
           (!versions || may_have_bridge(path, versions));
}

/* Look for a command on PATH that is an interpreter, one that may have a bridge unless versions is NULL. */
static bool find_on_path(const char *command, const char *const *versions, char path[PATH_MAX])
{
    const char *dir = getenv("PATH");

    for (dir = dir ? dir : DEFAULT_PATH; *dir; dir += strspn(dir, ":")) {
        int size = (int)strcspn(dir, ":");
        int length = snprintf(path, PATH_MAX, "%.*s/%s", size, dir, command);

        dir += size;
        if (length < PATH_MAX && is_interpreter(path, versions))
            return true;
    }
    return false;
}

/* Look for python3 on PATH, then for python3.11 and so on. */
static bool search(const char *const *versions, char path[PATH_MAX], char *why)
{
    char command[NAME_SIZE];

    if (find_on_path("python3", versions, path))
        return true;
    for (const char *const *version = versions; *version; version++) {
        snprintf(command, sizeof(command), "python%s", *version);
        if (find_on_path(command, versions, path))
            return true;
    }
    if (find_on_path("python3", NULL, path))
        return true; /* which will be told that it has no bridge */
    snprintf(why, HOST_WHY_SIZE, "there is no python3 on PATH: install Python, or set \"python\" in [server]");
    return false;
}

static bool choose(const struct interpreter_wish *wish, char path[PATH_MAX], char *why)
{
    const char *active = getenv("VIRTUAL_ENV");

    if (wish->python && strchr(wish->python, '/'))
        return take_chosen("python", wish->python, path, why);
    if (wish->python && find_on_path(wish->python, NULL, path))
        return true;
    if (wish->python) {
        snprintf(why, HOST_WHY_SIZE, "python = %s: there is no such command on PATH", wish->python);
        return false;
    }
    if (wish->virtualenv)
        return take_virtualenv("virtualenv", wish->virtualenv, path, why);
    if (active && *active)
        return take_virtualenv("in the environment VIRTUAL_ENV", active, path, why);
    return find_beside(path) || search(wish->versions, path, why);
}

bool interpreter_find(const struct interpreter_wish *wish, char path[PATH_MAX], char *why)
{
    return choose(wish, path, why) && (!elf_is_script(path) || ask_script(path, why));
}
