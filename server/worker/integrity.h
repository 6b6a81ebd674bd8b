/* integrity.h: notices that the application has taken from the worker what it needs to serve. */
#ifndef WORKER_INTEGRITY_H
#define WORKER_INTEGRITY_H

/* When the application has been loaded: call on_damage() once, on the event loop's stack, if it closes descriptors of
 * the server or lowers the limit of open files from then on. */
void integrity_watch(void (*on_damage)(void));

#endif
