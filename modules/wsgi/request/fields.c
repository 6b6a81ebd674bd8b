/*
 * fields.c: header fields to HTTP_* variables.
 *
 * Clients send the same few names over and over, and often the same values. A cache has, for the bytes of a name, the
 * key object made of them and the last value seen with it, so that the usual field costs two comparisons and a dict
 * insertion. Each name has one slot, which the most recent name takes, so clients cannot make the cache grow.
 *
 * A name with an underscore becomes the same variable as the name with a hyphen, and so could be mistaken for a field
 * that a proxy has set or removed. Such fields are dropped, as nginx and gunicorn do. So is Proxy: environ is often
 * copied to os.environ or to a child's environment, where HTTP_PROXY would redirect requests (CVE-2016-5385).
 */
#include "request/fields.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "request/convert.h"

#define SLOTS            256
#define MAX_CACHED_NAME  40  /* bytes; longer names are not cached */
#define MAX_CACHED_VALUE 512 /* bytes; longer values are not cached */

struct slot {
    char name[MAX_CACHED_NAME];
    unsigned size;   /* of the name; 0: free */
    PyObject *key;   /* owned; NULL: the field is dropped */
    PyObject *value; /* owned, or NULL */
    bool upgrade;    /* the name is Upgrade */
};

static struct slot slots[SLOTS];

/* The slot depends on both ends of the name and on its size; names that share a slot replace each other. */
static struct slot *slot_of(const char *name, size_t size)
{
    uint32_t head = 0, tail;

    if (size >= sizeof(head)) {
        memcpy(&head, name, sizeof(head));
        memcpy(&tail, name + size - sizeof(tail), sizeof(tail));
    } else {
        memcpy(&head, name, size);
        tail = head;
    }
    return &slots[((head ^ (tail * 0x9e3779b1u) ^ (uint32_t)size) * 0x85ebca6bu) >> 24];
}

static bool has_name(const struct sl_field *f, const char *name)
{
    return f->name_size == strlen(name) && !strncasecmp(f->name, name, f->name_size);
}

/* Returns the name of the variable for a field. */
static PyObject *key_new(const struct sl_field *f)
{
    PyObject *key;
    Py_UCS1 *to;

    if (has_name(f, "Content-Type"))
        return PyUnicode_InternFromString("CONTENT_TYPE");
    if (has_name(f, "Content-Length"))
        return PyUnicode_InternFromString("CONTENT_LENGTH");
    key = PyUnicode_New((Py_ssize_t)f->name_size + 5, 127);
    if (!key)
        return NULL;
    to = PyUnicode_1BYTE_DATA(key);
    memcpy(to, "HTTP_", 5);
    for (size_t i = 0; i < f->name_size; i++) {
        unsigned char c = (unsigned char)f->name[i];

        to[5 + i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
    }
    return key;
}

static bool is_dropped(const struct sl_field *f)
{
    return memchr(f->name, '_', f->name_size) || has_name(f, "Proxy");
}

/* Returns the slot that has the key for the field's name. */
static struct slot *slot_get(const struct sl_field *f)
{
    struct slot *slot = slot_of(f->name, f->name_size);
    PyObject *key;

    if (slot->size == f->name_size && !memcmp(slot->name, f->name, f->name_size))
        return slot;
    key = is_dropped(f) ? NULL : key_new(f);
    if (!key && PyErr_Occurred())
        return NULL;
    memcpy(slot->name, f->name, f->name_size);
    slot->size = f->name_size;
    slot->upgrade = has_name(f, "Upgrade");
    Py_XSETREF(slot->key, key);
    Py_CLEAR(slot->value);
    return slot;
}

/* Returns the field's value as a new reference. */
static PyObject *slot_value(struct slot *slot, const struct sl_field *f)
{
    PyObject *old = slot->value, *value;

    if (old && (size_t)PyUnicode_GET_LENGTH(old) == f->value_size &&
        !memcmp(PyUnicode_1BYTE_DATA(old), f->value, f->value_size))
        return Py_NewRef(old);
    value = convert_latin1(f->value, f->value_size);
    if (value && f->value_size <= MAX_CACHED_VALUE) {
        Py_INCREF(value);
        Py_XSETREF(slot->value, value);
    }
    return value;
}

/* The variables of a request while they are made. */
struct variables {
    PyObject *env; /* borrowed */
    PyObject
        *repeated; /* owned: a dict of the lists of values of names that come several times; NULL: there are none */
};

/* Adds a second or later value of a name. They are joined at the end, at once, since a head may have a thousand. */
__attribute__((noinline, cold)) static int repeat_field(struct variables *v, PyObject *key, PyObject *first,
                                                        PyObject *value)
{
    PyObject *values;
    int result;

    if (!v->repeated && !(v->repeated = PyDict_New()))
        return -1;
    values = PyDict_GetItemWithError(v->repeated, key);
    if (values)
        return PyList_Append(values, value);
    values = PyErr_Occurred() ? NULL : Py_BuildValue("[OO]", first, value);
    result = values ? PyDict_SetItem(v->repeated, key, values) : -1;
    Py_XDECREF(values);
    return result;
}

static int set_joined(PyObject *env, PyObject *key, PyObject *values)
{
    PyObject *separator = PyUnicode_FromString(PyUnicode_CompareWithASCIIString(key, "HTTP_COOKIE") == 0 ? "; " : ", ");
    PyObject *joined = separator ? PyUnicode_Join(separator, values) : NULL;
    int result = joined ? PyDict_SetItem(env, key, joined) : -1;

    Py_XDECREF(separator);
    Py_XDECREF(joined);
    return result;
}

__attribute__((noinline, cold)) static int join_repeated(struct variables *v)
{
    PyObject *key, *values;
    Py_ssize_t at = 0;

    while (PyDict_Next(v->repeated, &at, &key, &values))
        if (set_joined(v->env, key, values) < 0)
            return -1;
    return 0;
}

static int set_variable(struct variables *v, PyObject *key, PyObject *value)
{
    Py_ssize_t count = PyDict_GET_SIZE(v->env);
    PyObject *there = PyDict_SetDefault(v->env, key, value);

    if (!there)
        return -1;
    return PyDict_GET_SIZE(v->env) > count ? 0 : repeat_field(v, key, there, value);
}

static int add_uncached(struct variables *v, const struct sl_field *f)
{
    PyObject *key, *value;
    int result;

    if (is_dropped(f))
        return 0;
    key = key_new(f);
    value = key ? convert_latin1(f->value, f->value_size) : NULL;
    result = value ? set_variable(v, key, value) : -1;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return result;
}

/* Returns 1 for the field Upgrade, 0 for others. */
static int environ_add_field(struct variables *v, const struct sl_field *f)
{
    struct slot *slot;
    PyObject *value;
    int result;

    if (f->name_size > MAX_CACHED_NAME)
        return add_uncached(v, f);
    slot = slot_get(f);
    if (slot && !slot->key)
        return 0;
    value = slot ? slot_value(slot, f) : NULL;
    if (!value)
        return -1;
    result = set_variable(v, slot->key, value);
    Py_DECREF(value);
    return result < 0 ? result : slot->upgrade;
}

int fields_add(PyObject *env, const struct sl_request *req)
{
    struct variables v = {.env = env};
    int upgrade = 0;

    for (size_t i = 0; i < req->field_count && upgrade >= 0; i++) {
        int result = environ_add_field(&v, &req->fields[i]);

        upgrade = result < 0 ? result : upgrade | result;
    }
    if (v.repeated && upgrade >= 0 && join_repeated(&v) < 0)
        upgrade = -1;
    Py_XDECREF(v.repeated);
    return upgrade;
}

void fields_clear(void)
{
    for (struct slot *slot = slots; slot < slots + SLOTS; slot++) {
        Py_CLEAR(slot->key);
        Py_CLEAR(slot->value);
        slot->size = 0;
    }
}
