/*
 * package_call.h: calls functions of the package syncless that no code of the application has asked for.
 */
#ifndef PACKAGE_CALL_H
#define PACKAGE_CALL_H

struct package_function {
    const char *module, *name;
};

/* Imports the module and calls the function, without arguments. Failures are logged. With the GIL. */
void package_call(const struct package_function *function);

/* The same on a new coroutine, when Python has started. Static memory. */
void package_call_soon(const struct package_function *function);

#endif
