/* top.h: the command top of syncless-ctl: all of a server, live, on the whole screen. */
#ifndef CTL_TOP_H
#define CTL_TOP_H

/* Show it until the user leaves. path is that of the control socket. Returns the exit code. */
int top_run(const char *path);

#endif
