/*
 * app_child.h: processes that an application forks.
 */
#ifndef APP_CHILD_H
#define APP_CHILD_H

/* Call it once, before anything is forked. Returns 0 or a negative errno. */
int app_child_init(void);

/* This process was forked by the fork server: it is a worker, not a child of the application. */
void app_child_adopt(void);

/* In a child that the application forked: ends the process, by the exception that is set if there is one. Elsewhere it
 * does nothing. Called wherever the application returns to the bridge. */
void app_child_end(void);

/* The worker ends: has multiprocessing not wait for processes that are no daemons, which run on. With the GIL. */
void app_child_leave(void);

#endif
