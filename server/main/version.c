/*
 * version.c: the version, and what the program was built from: what a bug report should have in it.
 */
#include "main/version.h"

#include <gnu/libc-version.h>
#include <llhttp.h>
#include <stdio.h>

#include "conf/conf.h"
#include "host/host.h"
#include "libc/dns/cares.h"
#include "mount/module_file.h"
#include "wait/wait.h"

#ifndef VERSION
#define VERSION "unknown"
#endif
#ifndef BUILD_FLAGS
#define BUILD_FLAGS "unknown"
#endif

const char *version_line(void)
{
    return "syncless-server " VERSION "\n";
}

const char *version_details(void)
{
    static char text[1024];

    snprintf(text, sizeof(text), "%scompiler: %s\nflags: %s\nlibuv: %s\nllhttp: %d.%d.%d\nc-ares: %s\nglibc: %s\n",
             version_line(), __VERSION__, BUILD_FLAGS, wait_uv_version(), LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
             LLHTTP_VERSION_PATCH, cares.ares_version(NULL), gnu_get_libc_version());
    return text;
}

void version_print_python(struct conf *c, const char *const *module_path, const char *why)
{
    const char *const *versions = module_file_versions(&c->arena, module_path, "wsgi");
    const char *bridge = module_file_find(&c->arena, module_path, "wsgi", host_version());

    if (bridge && host_entered())
        printf("python: %s, CPython %s\nbridge: %s\n", host_python(), host_full_version(), bridge);
    else if (host_entered())
        printf("python: %s\n", module_file_refusal(&c->arena, versions));
    else
        printf("python: %s\n", why);
}
