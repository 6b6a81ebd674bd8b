/* exit_code.h: the exit codes of the process, docs/deploy.md. */
#ifndef BASE_EXIT_CODE_H
#define BASE_EXIT_CODE_H

enum {
    EXIT_STOPPED = 0,  /* as requested */
    EXIT_RUNTIME = 1,  /* bind, fork and the like failed */
    EXIT_USAGE = 2,    /* usage error */
    EXIT_BOOT = 3,     /* the workers cannot start */
    EXIT_APP = 4,      /* the application cannot be loaded */
    EXIT_BADCONF = 78, /* the configuration is wrong; EX_CONFIG of sysexits.h */
};

#endif
