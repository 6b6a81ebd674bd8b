/* cmdline.h: the command line. */
#ifndef MAIN_CMDLINE_H
#define MAIN_CMDLINE_H

#include <stdbool.h>

struct conf;

#define CMDLINE_MAX_OPTIONS 100 /* of one kind */

struct command {
    char **argv;
    const char *file, *app;
    const char *binds[CMDLINE_MAX_OPTIONS], *assignments[CMDLINE_MAX_OPTIONS];
    int bind_count, assignment_count;
    bool check, check_app, dump;
    bool version, version_details; /* -v and -V */
    int signum;                    /* of -s; 0: no signal is to be sent */
    int daemonize;                 /* of -d and -F; -1: what the file says */
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
