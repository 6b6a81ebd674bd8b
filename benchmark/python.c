/*
 * python.c: the python3 command over the same libpython that the server embeds. Debian's python3 has the interpreter
 * linked in, built with optimisations that a shared library cannot have, so a framework costs less under it.
 */
#include <Python.h>

int main(int argc, char **argv)
{
    return Py_BytesMain(argc, argv);
}
