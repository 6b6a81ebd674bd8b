/* daemonize.h: go to the background. */
#ifndef PROCESS_DAEMONIZE_H
#define PROCESS_DAEMONIZE_H

/* Go on in a child in a session of its own. The process that called waits, and ends with exit code 0 as soon as the
 * child calls daemonize_done, or with the child's if that ends before: it then says that the reason is in the log. Ends
 * the process if there can be no child. */
void daemonize(const char *log);

/* The logs are open: let go of the terminal, to which a start that fails before could complain. Before workers are
 * forked, or they would hold it. */
void daemonize_leave_stderr(void);

/* The server serves: the process that was called may end. Nothing happens without daemonize, and from the second time
 * on. */
void daemonize_done(void);

/* In a forked child: the caller need not wait for its end. */
void daemonize_forget(void);

#endif
