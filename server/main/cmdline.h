/* cmdline.h: the command line. */
#ifndef MAIN_CMDLINE_H
#define MAIN_CMDLINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "main/synonym.h"

struct conf;

#define CMDLINE_MAX_OPTIONS 200 /* that set keys */

/* All texts are those of argv. */
struct command {
    char **argv;
    const char *file;                                   /* of -c, or the argument without an option */
    struct command_option app;                          /* -m, or the same; its value is NULL if there is none */
    struct command_option options[CMDLINE_MAX_OPTIONS]; /* those that set keys, in order */
    int option_count;
    bool check, check_app, dump;
    bool version, version_details; /* -v and -V */
    int signum;                    /* of -s; 0: no signal is to be sent */
    pid_t to;                      /* of --to: the process to signal; 0: the one that the pidfile names */
    int daemonize;                 /* of -d and -F; -1: what the file says */
    const char *migrate;           /* the configuration of another server that is to be converted */
};

enum cmdline_result {
    CMDLINE_OK,    /* the command is to be carried out */
    CMDLINE_DONE,  /* the help was written: nothing is left to do */
    CMDLINE_WRONG, /* a usage error, which was reported */
};

/* Parse the command line. */
enum cmdline_result command_parse(struct command *cmd, int argc, char **argv);

/* Read the configuration that it names, and set its options there. Mistakes are recorded in conf. */
void command_configure(const struct command *cmd, struct conf *conf);

#endif
