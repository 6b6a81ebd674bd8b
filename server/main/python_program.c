/* python_program.c: the executable syncless-python. */
#include "main/programs.h"

int main(int argc, char **argv)
{
    return syncless_python(argc, argv);
}
