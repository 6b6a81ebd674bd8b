/*
 * command.c: CPython's own command line, run by the executable syncless-python on its main coroutine.
 *
 * It does the steps of Py_BytesMain, so that between the start of the interpreter and that of the program the bridge
 * can adopt the main coroutine's PyThreadState: from then on the main coroutine parks like all others.
 *
 * CPython finds its library by the path of the interpreter. But sys.executable is syncless-python, so that what a
 * program starts by it (multiprocessing, subprocess) runs as the program does.
 */
#include "command.h"

#include <stdlib.h>

#include "bridge.h"
#include "interp/cpython.h"
#include "package/console_door.h"
#include "package/finder.h"
#include "syncless/runtime.h"
#include "threads/tstate.h"

#define CONSOLE_VARIABLE "SYNCLESS_CONSOLE" /* if set, a prompt is open from the start */

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
        status = PyConfig_SetBytesString(&config, &config.program_name, sl_runtime_path());
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

/* Sets sys.executable. */
static int set_executable(void)
{
    PyObject *path = PyUnicode_DecodeFSDefault(sl_program_path());
    int result = path ? PySys_SetObject("executable", path) : -1;

    Py_XDECREF(path);
    return result;
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
    tstate_adopt();
    if (set_executable() < 0 || finder_init() < 0)
        PyErr_Print(); /* the program may not need the package */
    if (getenv(CONSOLE_VARIABLE))
        console_door_open_now();
    code = Py_RunMain();
    tstate_disown();
    return code;
}
