/* daemonize.h: run in the background. */
#ifndef PROCESS_DAEMONIZE_H
#define PROCESS_DAEMONIZE_H

/* Continue in a child, in a session of its own. The original process waits: it exits with code 0 when the child calls
 * daemonize_done, or with the child's exit code if that ends before, after a message that names the log. Ends the
 * process if it cannot fork. */
void daemonize(const char *log);

/* Call this when the logs are open and before workers are forked: releases the terminal, which standard error was until
 * now. */
void daemonize_release_stderr(void);

/* Call this when the server serves: the original process exits. Does nothing without daemonize, or a second time. */
void daemonize_done(void);

/* In a forked child: close what the original process waits on, so that it does not wait for this one. */
void daemonize_close(void);

#endif
