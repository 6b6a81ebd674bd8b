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

    char *dir;    /* root without symlinks; malloc'd by start, freed by stop */
    sem_t places; /* of max_children; unused if that is 0 */
};

/* ---- script.c: from the path of a request to a file ---- */

struct script {
    const char *file;        /* absolute path */
    const char *dir;         /* the directory it lies in, in which it runs */
    const char *name;        /* SCRIPT_NAME */
    const char *info;        /* PATH_INFO, "" if none */
    const char *interpreter; /* or NULL: the file itself is executed */
};

/* Fill in script, in the memory of the request. Returns what handle shall return if it is not 0, or if file is NULL:
 * the request has been answered then. */
int script_find(const struct cgi *cgi, struct sl_request *req, struct script *script);

/* ---- env.c: the meta-variables ---- */

/* The environment of a script, NULL-terminated, in the memory of the request. */
char **env_build(const struct cgi *cgi, struct sl_request *req, const struct script *script);

/* ---- child.c: the process ---- */

struct child {
    pid_t pid;
    int in;     /* its stdin; -1 once closed, as are the others */
    int out;    /* its stdout */
    int err;    /* its stderr */
    int exited; /* a pidfd, readable when the process has ended */
    int status; /* of waitpid(2), after child_reap */
};

/* Start the script as leader of a process group. Without has_body its stdin is /dev/null and in is -1. 0 or -errno. */
int child_start(struct child *child, const struct script *script, char *const *envp, bool has_body);

/* Close one end and forget it; harmless when it is closed. */
void child_close(int *fd);

/* Signal the whole process group. Only before child_reap, as the group may be another's after it. */
void child_signal(const struct child *child, int signum);

/* Wait for the end of the process, and close all there is. */
void child_reap(struct child *child);

/* ---- head.c: the head of the script's output ---- */

/* Begin with a zeroed one. */
struct head {
    char *text; /* in the memory of the request */
    size_t size, room;
    size_t line; /* where the line begins whose end was not seen yet */
    bool done;
};

/* Take size bytes of output. When these complete the head, its fields are given to the server, done is set, and *body
 * is where in data the body begins. 0; or -EPROTO, logged, if the head is malformed. */
int head_feed(struct head *head, struct sl_request *req, const struct script *script, const char *data, size_t size,
              const char **body);

/* ---- lines.c: stderr, line by line into the log ---- */

/* Begin with a zeroed one. */
struct lines {
    size_t size;
    char text[1024];
};

void lines_feed(struct lines *lines, const struct sl_request *req, const struct script *script, const char *data,
                size_t size);

/* Log what came after the last line break. */
void lines_end(struct lines *lines, const struct sl_request *req, const struct script *script);

/* ---- run.c: from the start of a script to its end ---- */

/* Run the script and pass bytes in all directions. Returns what handle shall return. */
int run_script(const struct cgi *cgi, struct sl_request *req, const struct script *script);

#endif
