/*
 * about.c: what the server is: versions and configuration, of the last generation.
 *
 * The configuration is the one that `syncless-server --dump-config` shows, in which secrets are hidden (SL_SECRET);
 * here the users and passwords of URLs are too.
 */
#include "master/about.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "inside/running.h"
#include "master/supervisor.h"

#define HIDDEN "(hidden)"

static const char *about_versions = "";

void about_init(const char *versions)
{
    about_versions = versions;
}

/* Add a line without the user and password of a URL: "http://(hidden)@host". */
static void add_without_user(struct text *out, const char *line, size_t size)
{
    const char *host = memmem(line, size, "://", 3), *at;

    if (host) {
        host += 3;
        at = memrchr(host, '@', strcspn(host, "/ \n"));
        if (at) {
            text_add(out, line, (size_t)(host - line));
            text_add(out, HIDDEN, strlen(HIDDEN));
            size -= (size_t)(at - line);
            line = at;
        }
    }
    text_add(out, line, size);
}

/* ---- the answer ---- */

static void write_configuration(struct text *out)
{
    char *dump = NULL;
    size_t size = 0;
    FILE *in = open_memstream(&dump, &size);

    if (in) {
        generation_dump(supervisor_generation(), in);
        fclose(in);
    }
    for (const char *line = dump, *end; line && *line; line = *end ? end + 1 : end) {
        end = strchrnul(line, '\n');
        add_without_user(out, line, (size_t)(end - line));
        text_add(out, "\n", 1);
    }
    free(dump);
}

static void write_versions(struct text *out)
{
    text_add(out, about_versions, strlen(about_versions));
    if (host_entered())
        text_printf(out, "python: CPython %s in %s\n", host_full_version(), host_python());
}

/* Add lines as members: "NAME: VERSION", or with a space between them. */
static void add_versions(struct text *out, const char *lines, size_t size)
{
    const char *between = "";

    for (const char *at = lines, *stop = lines + size; at < stop;) {
        const char *end = memchr(at, '\n', (size_t)(stop - at));
        size_t name = strcspn(at, ": \n"), version = name + strspn(at + name, ": ");

        text_add(out, between, strlen(between));
        text_add_json(out, at, name);
        text_add(out, ":", 1);
        text_add_json(out, at + version, (size_t)(end - at) - version);
        between = ",";
        at = end + 1;
    }
}

void about_write(const struct question *q, struct text *out)
{
    struct text versions = {0}, configuration = {0};

    write_versions(&versions);
    write_configuration(&configuration);
    if (q->json) {
        text_printf(out, "{\"version\":%d,\"versions\":{", INSIDE_VERSION);
        add_versions(out, versions.buf, versions.size);
        text_printf(out, "},\"configuration\":");
        text_add_json(out, configuration.buf, configuration.size);
        text_printf(out, "}\n");
    } else {
        text_add(out, versions.buf, versions.size);
        text_add(out, "\n", 1);
        text_add(out, configuration.buf, configuration.size);
    }
    free(versions.buf);
    free(configuration.buf);
}
