/*
 * thread_table.h: threading._active, with the coroutines.
 */
#ifndef THREAD_TABLE_H
#define THREAD_TABLE_H

#include "interp/cpython.h"

/* How the table finds coroutines: all returns a list of the handles of those that run Python code, find the handle of
 * the one with that identity, both as new references; find returns None if there is none. */
struct thread_table_source {
    PyObject *(*all)(void);
    PyObject *(*find)(unsigned long ident);
};

/* Makes threading._active such a table. Once is enough. */
int thread_table_init(const struct thread_table_source *source);

#endif
