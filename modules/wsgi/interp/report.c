/*
 * report.c: Python exceptions to the error log.
 *
 * Python's own traceback module formats them, so they look as usual: chained causes, notes, the carets of newer
 * versions.
 */
#include "interp/report.h"

#include "interp/compat.h"

static PyObject *format_exception; /* traceback.format_exception */

int report_init(void)
{
    PyObject *module;

    if (format_exception)
        return 0;
    module = PyImport_ImportModule("traceback");
    if (!module)
        return -1;
    format_exception = PyObject_GetAttrString(module, "format_exception");
    Py_DECREF(module);
    return format_exception ? 0 : -1;
}

PyObject *report_bytes(PyObject *text)
{
    PyObject *nul = PyUnicode_FromStringAndSize("", 1), *shown = PyUnicode_FromString("\\x00");
    PyObject *whole = nul && shown ? PyUnicode_Replace(text, nul, shown, -1) : NULL;
    PyObject *bytes = whole ? PyUnicode_AsEncodedString(whole, "utf-8", "backslashreplace") : NULL;

    Py_XDECREF(nul);
    Py_XDECREF(shown);
    Py_XDECREF(whole);
    return bytes;
}

static PyObject *format_raised(PyObject *raised)
{
    PyObject *lines, *text, *empty, *bytes;

    lines = format_exception ? PyObject_CallOneArg(format_exception, raised) : NULL;
    if (!lines)
        return NULL;
    empty = PyUnicode_New(0, 0);
    text = PyUnicode_Join(empty, lines);
    Py_XDECREF(empty);
    Py_DECREF(lines);
    if (!text)
        return NULL;
    bytes = report_bytes(text);
    Py_DECREF(text);
    return bytes;
}

void report_raised(const struct sl_request *req, const char *what)
{
    PyObject *raised = compat_raised();
    PyObject *text = format_raised(raised);

    if (text) {
        sl_log(req, SL_ERROR, "%s\n%s", what, PyBytes_AS_STRING(text));
    } else { /* its __str__ raises, or there is no memory */
        PyErr_Clear();
        sl_log(req, SL_ERROR, "%s: %s (cannot show its traceback)", what, Py_TYPE(raised)->tp_name);
    }
    Py_XDECREF(text);
    Py_DECREF(raised);
}
