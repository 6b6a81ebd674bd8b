/*
 * interp.c: configures and starts CPython.
 *
 * It is set up as the python3 command sets itself up (environment variables, UTF-8 mode, site-packages, .pth files),
 * since applications expect just that, except for what belongs to the daemon: signal handlers and the command line.
 *
 * A virtualenv is entered the way its own bin/python does it: by the name of the program, from which CPython finds
 * pyvenv.cfg, the standard library behind it, and site-packages. Without one the name is the path by which the
 * interpreter was started in whose process the server runs.
 */
#include "interp/interp.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interp/cpython.h"
#include "interp/report.h"
#include "syncless/runtime.h"

int interp_check(const struct interp_config *config)
{
    for (const char *const *env = config->env; env && *env; env++)
        if (!strchr(*env, '=') || **env == '=') {
            sl_log(NULL, SL_ERROR, "wsgi: env = %s: must be NAME=VALUE", *env);
            return -EINVAL;
        }
    return 0;
}

/* Adds a list of NAME=VALUE, which was checked, to the environment of the process. */
static int set_environment(const char *const *env)
{
    for (; env && *env; env++) {
        const char *eq = strchr(*env, '=');
        char *name = strndup(*env, (size_t)(eq - *env));

        if (!name || setenv(name, eq + 1, 1) < 0) {
            free(name);
            return -ENOMEM;
        }
        free(name);
    }
    return 0;
}

static int change_directory(const char *path)
{
    if (path && chdir(path) < 0) {
        int err = -errno;

        sl_log(NULL, SL_ERROR, "wsgi: chdir = %s: %s", path, strerror(-err));
        return err;
    }
    return 0;
}

/* If the server does not run in the virtualenv's own interpreter, the directory must be a virtualenv, and made for the
 * same version of Python. */
static int check_virtualenv(const char *venv)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/bin/python", venv);
    if (!strcmp(path, sl_runtime_path()))
        return 0;
    snprintf(path, sizeof(path), "%s/pyvenv.cfg", venv);
    if (access(path, R_OK) < 0) {
        sl_log(NULL, SL_ERROR, "wsgi: virtualenv = %s: is not a virtualenv (it has no pyvenv.cfg)", venv);
        return -EINVAL;
    }
    snprintf(path, sizeof(path), "%s/lib/python%d.%d/site-packages", venv, PY_MAJOR_VERSION, PY_MINOR_VERSION);
    if (access(path, X_OK) < 0) {
        sl_log(
            NULL, SL_ERROR,
            "wsgi: virtualenv = %s: was made for another Python version than %d.%d of %s, in which the server runs: "
            "leave out \"python\" in [server], so that it runs in the virtualenv's, or make a virtualenv of that one",
            venv, PY_MAJOR_VERSION, PY_MINOR_VERSION, sl_runtime_path());
        return -EINVAL;
    }
    return 0;
}

static int start_python(const char *venv)
{
    char program[PATH_MAX];
    char *argv[] = {"syncless-server"};
    PyConfig config;
    PyStatus status;

    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    config.configure_c_stdio = 0;
    snprintf(program, sizeof(program), "%s%s", venv ? venv : sl_runtime_path(), venv ? "/bin/python" : "");
    status = PyConfig_SetBytesString(&config, &config.program_name, program);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesArgv(&config, 1, argv);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (!PyStatus_Exception(status))
        return 0;
    sl_log(NULL, SL_ERROR, "wsgi: cannot start Python: %s", status.err_msg ? status.err_msg : "it asked to exit");
    return -EINVAL;
}

int interp_start(const struct interp_config *config)
{
    int err = interp_check(config);

    if (err == 0)
        err = set_environment(config->env);
    if (err == 0)
        err = change_directory(config->chdir);
    if (err == 0 && config->virtualenv)
        err = check_virtualenv(config->virtualenv);
    return err < 0 ? err : start_python(config->virtualenv);
}

int interp_insert_path(const char *directory)
{
    PyObject *list = PySys_GetObject("path"), *entry;
    int found;

    if (!list)
        return 0;
    entry = PyUnicode_DecodeFSDefault(directory);
    if (!entry)
        return -1;
    found = PySequence_Contains(list, entry);
    if (found == 0)
        found = PyList_Insert(list, 0, entry);
    Py_DECREF(entry);
    return found < 0 ? -1 : 0;
}

int interp_add_paths(const struct interp_config *config)
{
    size_t n = 0;

    if (config->chdir && interp_insert_path(config->chdir) < 0)
        return -1;
    while (config->pythonpath && config->pythonpath[n])
        n++;
    while (n > 0)
        if (interp_insert_path(config->pythonpath[--n]) < 0)
            return -1;
    return 0;
}

void interp_log_paths(void)
{
    PyObject *path = PySys_GetObject("path"), *prefix = PySys_GetObject("prefix");
    PyObject *base = PySys_GetObject("base_prefix"), *text = path ? PyObject_Repr(path) : NULL;
    bool in_virtualenv = prefix && base && PyObject_RichCompareBool(prefix, base, Py_NE) > 0;
    PyObject *bytes = text ? report_bytes(text) : NULL;

    PyErr_Clear(); /* nothing depends on it */
    sl_log(NULL, SL_ERROR, "wsgi: modules were looked for by %s, %s virtualenv, in sys.path: %s", sl_runtime_path(),
           in_virtualenv ? "in its" : "without a", bytes ? PyBytes_AS_STRING(bytes) : "(unknown)");
    Py_XDECREF(bytes);
    Py_XDECREF(text);
}

/* faulthandler.enable(2, all_threads=False): coroutines are threads, and there may be thousands. With
 * PYTHONFAULTHANDLER it is on already, as the user wants it. */
int interp_enable_faulthandler(void)
{
    PyObject *module = PyImport_ImportModule("faulthandler"), *result = NULL;
    PyObject *is_enabled = module ? PyObject_CallMethod(module, "is_enabled", NULL) : NULL;

    if (is_enabled == Py_False)
        result = PyObject_CallMethod(module, "enable", "ii", STDERR_FILENO, 0);
    else if (is_enabled)
        result = Py_NewRef(Py_None);
    Py_XDECREF(is_enabled);
    Py_XDECREF(module);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int interp_buffer_lines(void)
{
    PyObject *out = PySys_GetObject("stdout"), *method, *kwargs, *none, *result = NULL;

    if (!out || out == Py_None)
        return 0;
    method = PyObject_GetAttrString(out, "reconfigure");
    if (!method) { /* sitecustomize has put something of its own there */
        PyErr_Clear();
        return 0;
    }
    kwargs = Py_BuildValue("{sO}", "line_buffering", Py_True);
    none = PyTuple_New(0);
    if (kwargs && none)
        result = PyObject_Call(method, none, kwargs);
    Py_DECREF(method);
    Py_XDECREF(kwargs);
    Py_XDECREF(none);
    Py_XDECREF(result);
    return result ? 0 : -1;
}
