/*
 * child.h: processes that an application forks.
 */
#ifndef CHILD_H
#define CHILD_H

/* Call it once, before anything is forked. Returns 0 or a negative errno. */
int child_init(void);

/* This process was forked by the fork server: it is a worker, not a child of the application. */
void child_adopt(void);

/* In a child that the application forked: ends the process, by the exception that is set if there is one. Elsewhere it
 * does nothing. Called wherever the application returns to the bridge. */
void child_end(void);

#endif
