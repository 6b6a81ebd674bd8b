/* daemonize.h: go to the background. */
#ifndef PROCESS_DAEMONIZE_H
#define PROCESS_DAEMONIZE_H

/* Go on in a child in a session of its own. The process that called waits, and ends with exit code 0 as soon as the
 * child calls daemonize_done, or with the child's if that ends before. Ends the process if there can be no child. */
void daemonize(void);

/* The server serves: let go of the terminal. Nothing happens without daemonize, and from the second time on. */
void daemonize_done(void);

#endif
