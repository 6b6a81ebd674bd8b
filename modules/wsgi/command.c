/*
 * command.c: CPython's own command line, run by the executable syncless-python on its main coroutine.
 *
 * What Py_BytesMain does is done here in its steps, so that between starting the interpreter and running the program
 * the main coroutine's PyThreadState becomes known to the bridge: from then on it is handed over at a park like all
 * others.
 */
#include "command.h"

#include "bridge.h"
#include "interp/cpython.h"
#include "package/finder.h"
#include "syncless.h"
#include "threads/tstate.h"

static PyStatus start_program(int argc, char **argv)
{
    PyPreConfig before;
    PyConfig config;
    PyStatus status;

    PyPreConfig_InitPythonConfig(&before);
    status = Py_PreInitializeFromBytesArgs(&before, argc, argv);
    if (PyStatus_Exception(status))
        return status;
    PyConfig_InitPythonConfig(&config);
    status = PyConfig_SetBytesArgv(&config, argc, argv);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

int command_run(int argc, char **argv)
{
    PyStatus status;
    int code;

    if (bridge_prepare() < 0)
        return 1;
    status = start_program(argc, argv);
    if (PyStatus_IsExit(status))
        return status.exitcode;
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    if (tstate_adopt() < 0) {
        sl_log(NULL, SL_ERROR, "there is no room for the main coroutine's thread state");
        return 1;
    }
    if (finder_init() < 0)
        PyErr_Print(); /* programs that do not need it run all the same */
    code = Py_RunMain();
    tstate_disown();
    return code;
}
