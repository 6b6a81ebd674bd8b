/*
 * file_wrapper.c: wsgi.file_wrapper, an iterator over the blocks of a file, which the server may send by sendfile.
 *
 * It uses sendfile only for a regular file opened as one of io's own classes: having a fileno() proves nothing, since a
 * GzipFile has one too and its bytes are not those of the descriptor. Other files are iterated.
 */
#include "request/file_wrapper.h"

#include <stdbool.h>
#include <structmember.h>
#include <sys/stat.h>

struct file_wrapper {
    PyObject_HEAD
    PyObject *file; /* owned */
    Py_ssize_t block_size;
};

static PyTypeObject *file_io, *buffered_reader, *buffered_random; /* of the module io, owned */

static PyObject *wrapper_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"filelike", "blksize", NULL};
    Py_ssize_t block_size = 8192;
    PyObject *file;
    struct file_wrapper *w;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|n:file_wrapper", keywords, &file, &block_size))
        return NULL;
    w = (struct file_wrapper *)type->tp_alloc(type, 0);
    if (!w)
        return NULL;
    w->file = Py_NewRef(file);
    w->block_size = block_size;
    return (PyObject *)w;
}

static int wrapper_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((struct file_wrapper *)self)->file);
    return 0;
}

static int wrapper_clear(PyObject *self)
{
    Py_CLEAR(((struct file_wrapper *)self)->file);
    return 0;
}

static void wrapper_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    wrapper_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *wrapper_next(PyObject *self)
{
    struct file_wrapper *w = (struct file_wrapper *)self;
    PyObject *block = PyObject_CallMethod(w->file, "read", "n", w->block_size);
    Py_ssize_t size = block ? PyObject_Length(block) : -1;

    if (size <= 0)
        Py_CLEAR(block);
    return block;
}

static PyObject *wrapper_close(PyObject *self, PyObject *unused)
{
    PyObject *close = PyObject_GetAttrString(((struct file_wrapper *)self)->file, "close"), *result;

    if (!close) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return NULL;
        PyErr_Clear();
        return Py_NewRef(Py_None);
    }
    result = PyObject_CallNoArgs(close);
    Py_DECREF(close);
    return result;
}

/* Whether reading the file gives the bytes of the descriptor. */
static bool is_raw_file(PyObject *file)
{
    PyObject *raw;
    bool is_raw;

    if (Py_IS_TYPE(file, file_io))
        return true;
    if (!Py_IS_TYPE(file, buffered_reader) && !Py_IS_TYPE(file, buffered_random))
        return false;
    raw = PyObject_GetAttrString(file, "raw");
    if (!raw)
        PyErr_Clear();
    is_raw = raw && Py_IS_TYPE(raw, file_io);
    Py_XDECREF(raw);
    return is_raw;
}

/* Returns the integer that a method without arguments returns. */
static long long call_for_number(PyObject *object, const char *method)
{
    PyObject *result = PyObject_CallMethod(object, method, NULL);
    long long number = result ? PyLong_AsLongLong(result) : -1;

    Py_XDECREF(result);
    return number;
}

static int flush_file(PyObject *file)
{
    PyObject *result = PyObject_CallMethod(file, "flush", NULL);

    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Not inlined, so that a request that waits does not have st in its frame. */
__attribute__((noinline)) int file_wrapper_region(PyObject *wrapper, struct region *region)
{
    PyObject *file = ((struct file_wrapper *)wrapper)->file;
    struct stat st;
    int fd;

    if (!is_raw_file(file))
        return 0;
    fd = PyObject_AsFileDescriptor(file);
    if (fd < 0 || flush_file(file) < 0)
        return -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) /* files of /proc have size 0 */
        return 0;
    region->fd = fd;
    region->offset = (off_t)call_for_number(file, "tell");
    if (region->offset < 0)
        return -1;
    region->size = st.st_size > region->offset ? (size_t)(st.st_size - region->offset) : 0;
    return 1;
}

static PyMethodDef wrapper_methods[] = {
    {"close", wrapper_close, METH_NOARGS, "close(): close the file, if it has close()."},
    {0},
};

static PyMemberDef wrapper_members[] = {
    {"filelike", T_OBJECT, offsetof(struct file_wrapper, file), READONLY, "The file."},
    {"blksize", T_PYSSIZET, offsetof(struct file_wrapper, block_size), READONLY, "Bytes to read at a time."},
    {0},
};

PyTypeObject file_wrapper_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "syncless.FileWrapper",
    .tp_doc = "wsgi.file_wrapper(filelike, blksize=8192)",
    .tp_basicsize = sizeof(struct file_wrapper),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = wrapper_new,
    .tp_dealloc = wrapper_dealloc,
    .tp_traverse = wrapper_traverse,
    .tp_clear = wrapper_clear,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = wrapper_next,
    .tp_methods = wrapper_methods,
    .tp_members = wrapper_members,
};

static PyTypeObject *get_io_type(PyObject *io, const char *name)
{
    return io ? (PyTypeObject *)PyObject_GetAttrString(io, name) : NULL;
}

int file_wrapper_init_type(void)
{
    PyObject *io = PyImport_ImportModule("io");

    file_io = get_io_type(io, "FileIO");
    buffered_reader = file_io ? get_io_type(io, "BufferedReader") : NULL;
    buffered_random = buffered_reader ? get_io_type(io, "BufferedRandom") : NULL;
    Py_XDECREF(io);
    return buffered_random ? PyType_Ready(&file_wrapper_type) : -1;
}
