/*
 * python.c: the python3 command, linked to the libpython that the server embeds. Debian's python3 has the interpreter
 * linked in, with optimisations that a shared library cannot have, so frameworks are faster there.
 */
#include <Python.h>

int main(int argc, char **argv)
{
    return Py_BytesMain(argc, argv);
}
