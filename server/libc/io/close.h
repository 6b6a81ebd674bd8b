/* close.h: closing sockets with SO_LINGER. */
#ifndef LIBC_CLOSE_H
#define LIBC_CLOSE_H

#include <stdbool.h>

/* Whether closing fd waits until its peer has got all, or the time is over, and this coroutine may park for that. */
bool close_lingers(int fd);

#endif
