/* handler.h: the signal handlers of applications. */
#ifndef LIBC_HANDLER_H
#define LIBC_HANDLER_H

/* From now on handlers that are installed run as handler.c says. */
void handler_init(void);

#endif
