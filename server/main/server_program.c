/* server_program.c: the executable syncless-server. */
#include "main/programs.h"

int main(int argc, char **argv)
{
    return syncless_server(argc, argv);
}
