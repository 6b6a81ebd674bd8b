/*
 * version.c: the version, and what the program was built from: what a bug report should have in it.
 */
#include "main/version.h"

#include <ares.h>
#include <gnu/libc-version.h>
#include <llhttp.h>
#include <stdio.h>

#include "wait/wait.h"

#ifndef VERSION
#define VERSION "unknown"
#endif
#ifndef BUILD_FLAGS
#define BUILD_FLAGS "unknown"
#endif
#ifndef BUILD_PYTHON
#define BUILD_PYTHON "unknown"
#endif

const char *version_line(void)
{
    return "syncless-server " VERSION "\n";
}

const char *version_details(void)
{
    static char text[1024];

    snprintf(text, sizeof(text),
             "%scompiler: %s\nflags: %s\nlibuv: %s\nllhttp: %d.%d.%d\nc-ares: %s\nglibc: %s\nwsgi module: %s\n",
             version_line(), __VERSION__, BUILD_FLAGS, wait_uv_version(), LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
             LLHTTP_VERSION_PATCH, ares_version(NULL), gnu_get_libc_version(), BUILD_PYTHON);
    return text;
}
