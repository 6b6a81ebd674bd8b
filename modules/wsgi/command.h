/*
 * command.h: CPython's command line, for syncless-python.
 */
#ifndef COMMAND_H
#define COMMAND_H

/* See sl_module.command. */
int command_run(int argc, char **argv);

#endif
