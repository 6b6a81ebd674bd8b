/*
 * program_error.c: messages of the command line, before there is a log.
 */
#include "main/program_error.h"

#include <stdio.h>

void program_error(const char *fmt, va_list ap)
{
    fputs("syncless-server: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}
