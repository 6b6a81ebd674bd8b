/*
 * host.c: enters the process of an interpreter, and what is known there of it.
 *
 * Two variables of the environment lead through execve. LD_PRELOAD has the loader map libsyncless.so before all other
 * libraries. SYNCLESS_HOST has three lines: the program to run, our executable, and the interpreter, since a tool such
 * as valgrind may put a program of its own in between. A value of LD_PRELOAD that was there before waits under another
 * name. All are wiped from the memory that the kernel shows as /proc/PID/environ too, from where an administrator may
 * take the environment for another command.
 */
#include "host/host.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/self.h"
#include "coro/sanitize.h"
#include "host/elf.h"

#define PRELOAD      "LD_PRELOAD"
#define ASIDE        "SYNCLESS_" /* in front of that: the value that it had */
#define HOST         "SYNCLESS_HOST"
#define FD_PATH      "/proc/self/fd/"
#define VERSION_SIZE 16

static const char *const program_names[] = {[HOST_SERVER] = "server", [HOST_PYTHON] = "python"};

static struct {
    enum host_program program;
    char python[PATH_MAX], executable[PATH_MAX];
    char version[VERSION_SIZE], full_version[VERSION_SIZE];
    const char *refusal;
} host;

/* ---- the environment ---- */

/* Returns the value of a variable NAME=VALUE, or NULL if it has another name. */
static const char *value_of(const char *variable, const char *name)
{
    size_t size = strlen(name);

    return !strncmp(variable, name, size) && variable[size] == '=' ? variable + size + 1 : NULL;
}

/* Returns the value of the variable with that name in an environment, or NULL. */
static const char *find_value(char **envp, const char *name)
{
    const char *value = NULL;

    for (; *envp && !value; envp++)
        value = value_of(*envp, name);
    return value;
}

/* Take the variables of set_host_environment out of an environment. */
static void clear_host_environment(char **envp)
{
    char **end = envp;

    for (; *envp; envp++) {
        size_t size = strlen(*envp), prefix = strlen(ASIDE);

        if (value_of(*envp, PRELOAD) || value_of(*envp, HOST)) {
            memset(*envp, 0, size);
            continue;
        }
        if (value_of(*envp, ASIDE PRELOAD)) {
            memmove(*envp, *envp + prefix, size - prefix);
            memset(*envp + size - prefix, 0, prefix);
        }
        *end++ = *envp;
    }
    *end = NULL;
}

/* ---- entering ---- */

/* Returns the path of this file as LD_PRELOAD can name it: one that has a separator of lists in it, or what the loader
 * would expand, by a descriptor that stays open. NULL with errno if it cannot be opened. */
static const char *preload_path(void)
{
    static char by_fd[sizeof(FD_PATH) + 11];
    int fd;

    if (!strpbrk(self_path(), " :$"))
        return self_path();
    fd = open(self_path(), O_RDONLY);
    if (fd < 0)
        return NULL;
    snprintf(by_fd, sizeof(by_fd), FD_PATH "%d", fd);
    return by_fd;
}

/* Set a variable to one or more texts, joined by a separator. */
static void set_list(const char *name, char separator, const char *const *texts, size_t count)
{
    char *value = NULL;
    size_t size;
    FILE *out = open_memstream(&value, &size);

    if (!out)
        mem_die(sizeof(FILE));
    for (size_t i = 0, n = 0; i < count; i++)
        if (texts[i])
            fprintf(out, "%.*s%s", n++ > 0, &separator, texts[i]);
    fclose(out);
    setenv(name, value, 1);
    free(value);
}

/* Prepare the environment for execve. Returns 0 or a negative errno. */
static int set_host_environment(enum host_program program, const char *python)
{
    const char *preload = preload_path(), *before = getenv(PRELOAD);
    char executable[PATH_MAX];

    if (!preload || !self_executable(executable))
        return -errno;
    if (before)
        setenv(ASIDE PRELOAD, before, 1);
    set_list(PRELOAD, ':', (const char *[]){preload, sanitize_library(), before}, 3);
    set_list(HOST, '\n', (const char *[]){program_names[program], executable, python}, 3);
    return 0;
}

void host_enter(enum host_program program, const char *python, char **argv, char why[HOST_WHY_SIZE])
{
    int err;

    if (elf_refuse(python, why))
        return;
    err = set_host_environment(program, python);
    if (!err) {
        execv(python, argv);
        err = -errno;
        clear_host_environment(environ);
    }
    snprintf(why, HOST_WHY_SIZE, "cannot execute %s: %s", python, strerror(-err));
}

/* ---- arriving ---- */

/* Close the descriptor of preload_path. */
static void close_preloaded(const char *preload)
{
    self_path(); /* which finds the file by it */
    if (preload && !strncmp(preload, FD_PATH, strlen(FD_PATH)))
        close(atoi(preload + strlen(FD_PATH)));
}

/* Note what SYNCLESS_HOST says. Returns false if that is for another executable than this. */
static bool read_host(const char *value)
{
    char name[8];

    if (sscanf(value, "%7[^\n]\n%4095[^\n]\n%4095[^\n]", name, host.executable, host.python) != 3 ||
        strcmp(host.python, (const char *)getauxval(AT_EXECFN)))
        return false;
    host.program = strcmp(name, program_names[HOST_PYTHON]) ? HOST_SERVER : HOST_PYTHON;
    return true;
}

/* Ask CPython for its version, which it tells before it is started. */
static void read_version(void)
{
    const char *(*get_version)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "Py_GetVersion");
    const char *text = get_version ? get_version() : NULL;
    size_t size = text ? strcspn(text, " ") : 0;
    const char *dot = text ? strchr(text, '.') : NULL;

    if (!text || !dot || size >= VERSION_SIZE) {
        host.refusal = "it is not CPython";
        return;
    }
    memcpy(host.full_version, text, size);
    if (strstr(text, "free-threading"))
        host.refusal = "it is a free-threaded build, whose threads run at the same time: use one with the GIL";
    else
        memcpy(host.version, text, (size_t)(dot - text) + 1 + strspn(dot + 1, "0123456789"));
}

enum host_program host_arrive(char **envp)
{
    const char *value = find_value(envp, HOST);

    if (!value || !read_host(value))
        return HOST_NONE;
    close_preloaded(find_value(envp, PRELOAD));
    clear_host_environment(envp);
    prctl(PR_SET_NAME, host.program == HOST_SERVER ? "syncless-server" : "syncless-python");
    read_version();
    return host.program;
}

bool host_entered(void)
{
    return host.program != HOST_NONE;
}

const char *host_python(void)
{
    return host.python;
}

const char *host_version(void)
{
    return host.version;
}

const char *host_full_version(void)
{
    return host.full_version;
}

const char *host_refusal(void)
{
    return host.refusal;
}

const char *host_executable(void)
{
    return host.executable;
}
