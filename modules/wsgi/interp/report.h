/*
 * report.h: Python exceptions to the error log.
 */
#ifndef REPORT_H
#define REPORT_H

#include "interp/cpython.h"
#include "syncless.h"

/* Prepares report_raised, which without it logs no tracebacks. */
int report_init(void);

/* Logs the exception that is set, with its traceback, and clears it. req may be NULL. */
void report_raised(const struct sl_request *req, const char *what);

/* Returns the text of a str as the log takes it: bytes in UTF-8 without NUL. */
PyObject *report_bytes(PyObject *text);

#endif
