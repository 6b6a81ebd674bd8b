/* profile_command.h: syncless-ctl profile. */
#ifndef CTL_PROFILE_COMMAND_H
#define CTL_PROFILE_COMMAND_H

/* Run it; argv[0] is "profile". path: of the socket. Returns the exit code. */
int profile_command(int argc, char **argv, const char *path);

#endif
