/*
 * interp.c: the interpreter, one for all instances of a worker.
 *
 * It is set up as the python3 command sets itself up (environment variables, UTF-8 mode, site-packages, .pth files),
 * for applications expect just that, but for what belongs to the daemon: signal handlers and the command line. There
 * are no sub-interpreters: too many extension modules do not survive them.
 *
 * A virtualenv is entered the way its own bin/python does it: by the name of the program, from which CPython finds
 * pyvenv.cfg, the standard library behind it, and site-packages. Without one the name is that of the command which
 * belongs to this libpython, as the first python3 on PATH may be of another version.
 */
#include "bridge.h"
#include "interp/compat.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static PyThreadState *main_state;
static int users;
static bool nursery; /* this process forks workers */

/* A NAME=VALUE list goes to the environment of the process. */
static int set_environment(const char *const *env)
{
    for (; env && *env; env++) {
        const char *eq = strchr(*env, '=');
        char *name;

        if (!eq || eq == *env) {
            sl_log(NULL, SL_ERROR, "wsgi: env = %s: must be NAME=VALUE", *env);
            return -EINVAL;
        }
        name = strndup(*env, (size_t)(eq - *env));
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
        int error = errno;

        sl_log(NULL, SL_ERROR, "wsgi: chdir = %s: %s", path, strerror(error));
        return -error;
    }
    return 0;
}

/* Libraries loaded by dlopen are private to their loader, but extension modules expect libpython's symbols of all. */
static int publish_libpython(void)
{
    Dl_info info;

    if (!dladdr((void *)Py_InitializeFromConfig, &info) ||
        !dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD)) {
        sl_log(NULL, SL_ERROR, "wsgi: cannot make the symbols of libpython global: %s", dlerror());
        return -ENOEXEC;
    }
    return sl_runtime((void *)Py_InitializeFromConfig);
}

/* A virtualenv must be one, and of this version of Python. */
static int check_virtualenv(const char *venv)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/pyvenv.cfg", venv);
    if (access(path, R_OK) < 0) {
        sl_log(NULL, SL_ERROR, "wsgi: virtualenv = %s: no virtualenv is there (no pyvenv.cfg)", venv);
        return -EINVAL;
    }
    snprintf(path, sizeof path, "%s/lib/python%d.%d/site-packages", venv, PY_MAJOR_VERSION, PY_MINOR_VERSION);
    if (access(path, X_OK) < 0) {
        sl_log(NULL, SL_ERROR,
               "wsgi: virtualenv = %s: was made for another Python, this server runs %d.%d. Make it with %s -m venv, "
               "or build the server for its Python (make PYTHON=...)",
               venv, PY_MAJOR_VERSION, PY_MINOR_VERSION, WSGI_PYTHON);
        return -EINVAL;
    }
    return 0;
}

static PyStatus configure(PyConfig *config, const char *venv)
{
    char program[4096] = WSGI_PYTHON;
    char *argv[] = {"syncless-server"};
    PyStatus status;

    config->install_signal_handlers = 0;
    config->parse_argv = 0;
    config->configure_c_stdio = 0;
    if (venv)
        snprintf(program, sizeof program, "%s/bin/python", venv);
    status = PyConfig_SetBytesString(config, &config->program_name, program);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesArgv(config, 1, argv);
    return status;
}

static int initialize(const char *venv)
{
    PyConfig config;
    PyStatus status;

    PyConfig_InitPythonConfig(&config);
    status = configure(&config, venv);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (!PyStatus_Exception(status))
        return 0;
    sl_log(NULL, SL_ERROR, "wsgi: Python does not start: %s", status.err_msg ? status.err_msg : "exit asked for");
    return -EINVAL;
}

/* Put a directory at the front of sys.path, unless it is there. */
static int add_path(const char *directory)
{
    PyObject *list = PySys_GetObject("path"), *entry;
    int rc;

    if (!list)
        return 0;
    entry = PyUnicode_DecodeFSDefault(directory);
    if (!entry)
        return -1;
    rc = PySequence_Contains(list, entry);
    if (rc == 0)
        rc = PyList_Insert(list, 0, entry);
    Py_DECREF(entry);
    return rc < 0 ? -1 : 0;
}

static int add_paths(const struct wsgi *w)
{
    size_t n = 0;

    if (w->chdir && add_path(w->chdir) < 0)
        return -1;
    while (w->pythonpath && w->pythonpath[n])
        n++;
    while (n > 0)
        if (add_path(w->pythonpath[--n]) < 0)
            return -1;
    return 0;
}

/* What is printed shall be seen when it is printed, not when 8 KiB have come together. */
static int buffer_stdout_by_line(void)
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

int interp_make_types(void)
{
    static bool made;

    if (!made)
        made = report_init() == 0 && start_response_init() == 0 && file_wrapper_init() == 0 && input_init() == 0 &&
               errors_init() == 0 && upgrade_init() == 0 && interrupt_init() == 0;
    return made ? 0 : -1;
}

static int prepare(void)
{
    int rc = tstate_init();

    if (rc == 0)
        rc = child_init();
    if (rc < 0) {
        sl_log(NULL, SL_ERROR, "wsgi: the worker has no room for one more module with hooks: %s", strerror(-rc));
        return rc;
    }
    if (interp_make_types() < 0 || where_init() < 0 || buffer_stdout_by_line() < 0 || package_init() < 0) {
        report_raised(NULL, "wsgi: Python cannot be set up");
        return -EINVAL;
    }
    return 0;
}

int interp_prepare(void)
{
    const char *refusal = compat_refuse();

    if (refusal) {
        sl_log(NULL, SL_ERROR, "wsgi: %s", refusal);
        return -ENOTSUP;
    }
    PyImport_AppendInittab("_syncless", spawn_module);
    return publish_libpython();
}

static int boot(const struct wsgi *w)
{
    int rc;

    rc = set_environment(w->env);
    if (rc == 0)
        rc = change_directory(w->chdir);
    if (rc == 0 && w->virtualenv)
        rc = check_virtualenv(w->virtualenv);
    if (rc == 0)
        rc = interp_prepare();
    if (rc == 0)
        rc = initialize(w->virtualenv);
    if (rc < 0)
        return rc;
    main_state = PyThreadState_Get();
    rc = prepare();
    if (rc < 0)
        Py_FinalizeEx();
    return rc;
}

int interp_acquire(const struct wsgi *w)
{
    int rc;

    if (users > 0) {
        interp_enter();
    } else {
        rc = boot(w);
        if (rc < 0)
            return rc;
    }
    users++;
    if (add_paths(w) == 0)
        return 0;
    report_raised(NULL, "wsgi: sys.path cannot be extended");
    interp_release();
    return -EINVAL;
}

void interp_leave(void)
{
    gil_give();
}

void interp_enter(void)
{
    gil_take(main_state);
}

static void before_fork(void)
{
    if (!nursery)
        return;
    interp_enter();
    PyOS_BeforeFork();
}

static void after_fork_in_parent(void)
{
    if (!nursery)
        return;
    PyOS_AfterFork_Parent();
    interp_leave();
}

static void after_fork_in_child(void)
{
    if (!nursery)
        return;
    PyOS_AfterFork_Child();
    interp_leave();
}

int interp_nursery(void)
{
    static bool registered;
    int rc = registered ? 0 : pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

    registered = nursery = rc == 0;
    return -rc;
}

void interp_adopt(void)
{
    nursery = false;
    child_adopt();
}

void interp_release(void)
{
    if (--users > 0) {
        interp_leave();
        return;
    }
    fields_clear();
    start_response_clear();
    exchange_clear();
    tstate_clear();
    if (Py_FinalizeEx() < 0)
        sl_log(NULL, SL_WARN, "wsgi: Python could not write out all of its standard output");
}
