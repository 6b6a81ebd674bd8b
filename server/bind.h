/* bind.h: the listening sockets, made by the master before it forks. */
#ifndef BIND_H
#define BIND_H

#include "conf/settings.h"

/* Bind and listen on every address of the settings, and log each. fds has room for bind_count. Returns 0, or -errno
 * after a message that names the address; then nothing stays open. */
int bind_all(const struct settings *settings, int *fds);

/* Remove the files of Unix sockets and close all. */
void bind_release(const struct settings *settings, const int *fds);

#endif
