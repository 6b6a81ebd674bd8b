/* cmdline.h: the command line. */
#ifndef CMDLINE_H
#define CMDLINE_H

#include <stdbool.h>

struct conf;

#define COMMAND_MOST 100 /* options of one kind */

struct command {
    char **argv;
    const char *file, *app;
    const char *binds[COMMAND_MOST], *assignments[COMMAND_MOST];
    int bind_count, assignment_count;
    bool check, check_app, dump;
    int signum;    /* of -s; 0: none is to be sent */
    int daemonize; /* of -d and -F; -1: as the file says */
};

/* Parse the command line. Returns -1 to go on, or the exit code of the process. */
int command_parse(struct command *cmd, int argc, char **argv);

/* Read the configuration that it names, as if its options stood in the file. */
void command_configure(const struct command *cmd, struct conf *conf);

#endif
