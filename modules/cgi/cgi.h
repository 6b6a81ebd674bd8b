/* cgi.h: what the files of the CGI module share. Read cgi.c first. */
#ifndef CGI_H
#define CGI_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "syncless.h"

/* One [cgi /prefix] section. */
struct cgi {
    const char *root;
    const char *index;
    int64_t timeout; /* ms; 0 none */
    int64_t max_children;
    const char *const *env;
    const char *const *pass_env;
    const char *const *interpreters;
    bool pass_authorization;
    bool follow_symlinks;

    int64_t stderr_rate; /* bytes a second; 0 none */

    char *dir;                     /* root with symlinks resolved; owned, made by start */
    struct stderr_budget *stderrs; /* owned as well */
    sem_t permits;                 /* max_children of them; unused if that is 0 */
};

/* What the scripts of a mount have logged. Zeroed at first. */
struct stderr_budget {
    int64_t began;   /* CLOCK_MONOTONIC milliseconds: the second that is counted */
    int64_t used;    /* bytes in that second, with those for the beginning of a line */
    int64_t dropped; /* lines since the last message about them */
};

/* ---- script.c: from the path of a request to a file ---- */

struct script {
    const char *file;        /* absolute path */
    const char *dir;         /* the directory it lies in, in which it runs */
    const char *name;        /* SCRIPT_NAME */
    const char *info;        /* PATH_INFO, "" if none */
    const char *interpreter; /* or NULL: the file itself is executed */
};

/* Find the script and fill in the struct, in the memory of the request. Returns the result of sl_module.handle; if that
 * is 0 and file is NULL, the request has been answered. */
int script_find(const struct cgi *cgi, struct sl_request *req, struct script *script);

/* ---- env.c: the meta-variables ---- */

/* Returns the environment of a script, ended by NULL, in the memory of the request. */
char **env_build(const struct cgi *cgi, struct sl_request *req, const struct script *script);

/* ---- script_child.c: the process ---- */

struct child {
    pid_t pid;
    int in;       /* its stdin; -1 once closed, as are the others */
    int out;      /* its stdout */
    int err;      /* its stderr */
    int exited;   /* a pidfd, which is readable once the process has ended; -1 also where there are none */
    bool running; /* its end was not noticed yet */
    int status;   /* of waitpid(2), after child_reap */
};

/* Start the script as leader of a process group. Unless has_body its stdin is /dev/null and in is -1. 0 or -errno. */
int child_start(struct child *child, const struct script *script, char *const *envp, bool has_body);

/* Close a descriptor of struct child and set it to -1; nothing happens if it is closed already. */
void child_close(int *fd);

/* Whether the process has ended; to be asked for where there is no pidfd. */
bool child_has_ended(const struct child *child);

/* Signal the whole process group. Only before child_reap: afterwards another group may have its number. */
void child_signal(const struct child *child, int signum);

/* Wait for the end of the process, and close all descriptors. */
void child_reap(struct child *child);

/* ---- output_head.c: the head of the script's output ---- */

/* Zeroed at first. */
struct output_head {
    char *text; /* in the memory of the request */
    size_t size, capacity;
    size_t line;   /* offset of the first line whose end has not come */
    bool complete; /* the fields have been handed to the server */
};

/* Add size bytes of output. If they complete the head, its fields are handed to the server, and *body is where in data
 * the body begins. Returns 0; -EPROTO, logged, if the head is malformed. */
int output_head_feed(struct output_head *head, struct sl_request *req, const struct script *script, const char *data,
                     size_t size, const char **body);

/* ---- stderr_lines.c: stderr, line by line into the log ---- */

/* A line whose end has not come, and what it is logged with; these are borrowed. */
struct stderr_lines {
    const struct cgi *cgi;
    const struct sl_request *req;
    const struct script *script;
    size_t size;
    char text[1024];
};

void stderr_lines_feed(struct stderr_lines *lines, const char *data, size_t size);

/* Log what has come after the last line break, and how many lines were left out. */
void stderr_lines_end(struct stderr_lines *lines);

/* ---- run.c: from the start of a script to its end ---- */

/* Run the script, and move bytes between it, the client and the log. Returns the result of sl_module.handle. */
int run_script(const struct cgi *cgi, struct sl_request *req, const struct script *script);

#endif
