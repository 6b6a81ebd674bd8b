/* program_error.h: messages of the command line. */
#ifndef PROGRAM_ERROR_H
#define PROGRAM_ERROR_H

#include <stdarg.h>

/* Write a line to standard error, after the name of the program. */
void program_error(const char *fmt, va_list ap);

#endif
