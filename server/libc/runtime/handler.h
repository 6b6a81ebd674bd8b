/* handler.h: signal handlers of applications. */
#ifndef LIBC_HANDLER_H
#define LIBC_HANDLER_H

/* Handlers installed from now on run as handler.c says. */
void handler_init(void);

#endif
