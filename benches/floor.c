/* The least that an extension can do for `read` and `write`: the same calls with the same arguments
 * on memory of its own, which nobody can take away, so that there is nothing to find out before the
 * bytes are copied but whether they are inside. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

static char memory[4096];

/* The last argument if it is given, 0 if not; below 0 with an exception. */
static Py_ssize_t offset_of(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count < 1 || count > 2 || names) {
        PyErr_SetString(PyExc_TypeError, "one or two arguments, by position");
        return -1;
    }
    Py_ssize_t offset = count > 1 ? PyLong_AsSsize_t(args[1]) : 0;
    if (offset < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "out of range");
    return offset;
}

static int outside(Py_ssize_t size, Py_ssize_t offset)
{
    if (size >= 0 && offset <= (Py_ssize_t)sizeof memory - size)
        return 0;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "out of range");
    return 1;
}

static PyObject *read_it(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t offset = offset_of(args, count, names);
    if (offset < 0)
        return NULL;
    Py_ssize_t size = PyLong_AsSsize_t(args[0]);
    return outside(size, offset) ? NULL : PyBytes_FromStringAndSize(memory + offset, size);
}

static PyObject *write_it(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t offset = offset_of(args, count, names);
    if (offset < 0)
        return NULL;
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(args[0], &bytes, &size) < 0 || outside(size, offset))
        return NULL;
    memcpy(memory + offset, bytes, size);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)(void *)read_it, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"write", (PyCFunction)(void *)write_it, METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, NULL}};
static PyType_Spec memory_type = {"floor.Memory", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, slots};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "floor", .m_size = -1};

PyMODINIT_FUNC PyInit_floor(void)
{
    PyObject *made = PyModule_Create(&module), *type = PyType_FromSpec(&memory_type);
    if (!made || !type || PyModule_AddObject(made, "Memory", type) < 0)
        return NULL;
    return made;
}
