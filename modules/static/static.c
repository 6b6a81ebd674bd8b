/*
 * static.c: the module that serves files; docs/static.md is the user's page.
 *
 * A request takes the system calls openat2, fstat, preadv2 or sendfile, and close, and only memory of the request.
 * lookup.c decides what is served, root.c opens it, reply.c sends it; the other files are pure functions, each for one
 * field of the protocol. What is in memory, as popular files are, is opened and read by the worker's own thread, the
 * rest on its pool.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lookup.h"
#include "mime.h"
#include "reply.h"
#include "root.h"
#include "site.h"
#include "syncless.h"

static const struct sl_option options[] = {
    SL_OPTION("root", SL_PATH, struct site, folder, .help = "The folder whose files are served.",
              .flags = SL_REQUIRED | SL_EXISTS | SL_FOLDER),
    SL_OPTION("index", SL_STRINGS, struct site, index, .default_value = "index.html",
              .help = "File served for a folder; of several the first that exists."),
    SL_OPTION("listing", SL_BOOL, struct site, listing, .default_value = "off",
              .help = "List folders that have no index file."),
    SL_OPTION("follow-symlinks", SL_BOOL, struct site, follow_symlinks, .default_value = "off",
              .help = "Serve symbolic links that lead out of the root."),
    SL_OPTION("hidden", SL_BOOL, struct site, hidden, .default_value = "off",
              .help = "Serve names that begin with a dot, not only /.well-known/."),
    SL_OPTION("precompressed", SL_BOOL, struct site, precompressed, .default_value = "on",
              .help = "Serve FILE.br, FILE.zst or FILE.gz in place of FILE."),
    SL_OPTION("mime-types", SL_PATH, struct site, mime_types,
              .help = "A mime.types file; its types take precedence over the built-in ones.", .flags = SL_EXISTS),
    SL_OPTION("default-type", SL_STRING, struct site, default_type, .default_value = "application/octet-stream",
              .help = "Type of files whose extension is unknown."),
    SL_OPTION("charset", SL_STRING, struct site, charset, .default_value = "utf-8",
              .help = "Charset of text types; off for none."),
    SL_OPTION("expires", SL_DURATION, struct site, expires, .default_value = "0",
              .help = "How long clients may use a file without asking again, sent as Cache-Control: max-age."),
    SL_OPTION("cache-control", SL_STRING, struct site, cache_control,
              .help = "Value of Cache-Control, in place of expires."),
    SL_OPTION("header", SL_STRINGS, struct site, header, .help = "A response field, \"Name: value\"."),
    {.name = NULL},
};

/* Split "Name: value". 0, or -EINVAL, logged. */
static int parse_header(const char *line, struct site_field *field)
{
    size_t size = strcspn(line, ": \t");
    const char *value = line + size + 1;

    if (line[size] != ':' || size == 0) {
        sl_log(NULL, SL_ERROR, "static: header = %s is not of the form \"Name: value\"", line);
        return -EINVAL;
    }
    value += strspn(value, " \t");
    *field = (struct site_field){sl_must(strndup(line, size)), sl_must(strdup(value))};
    return 0;
}

/* Returns the value of Cache-Control, which the caller frees; NULL for none. */
static char *cache_control(const struct site *site)
{
    char text[64];

    if (site->cache_control)
        return sl_must(strdup(site->cache_control));
    if (site->expires <= 0)
        return NULL;
    snprintf(text, sizeof(text), "max-age=%lld", (long long)site->expires / 1000);
    return sl_must(strdup(text));
}

static int site_make_fields(struct site *site)
{
    char *caching = cache_control(site);
    size_t count = 0, used = 0;
    int err = 0;

    while (site->header && site->header[count])
        count++;
    site->fields = sl_must(calloc(count + 2, sizeof(*site->fields)));
    if (caching)
        site->fields[used++] = (struct site_field){sl_must(strdup("Cache-Control")), caching};
    for (size_t i = 0; i < count && err == 0; i++)
        err = parse_header(site->header[i], &site->fields[used++]);
    return err;
}

static int site_start(void *self)
{
    struct site *site = self;
    bool charset = site->charset && *site->charset && strcmp(site->charset, "off");
    int err = root_start(&site->root, site->folder, site->follow_symlinks);

    if (err < 0)
        return err;
    site->mime = mime_new(site->mime_types, site->default_type, charset ? site->charset : NULL);
    return site->mime ? site_make_fields(site) : -EINVAL;
}

static void site_stop(void *self)
{
    struct site *site = self;

    for (struct site_field *field = site->fields; field->name; field++) {
        free(field->name);
        free(field->value);
    }
    free(site->fields);
    mime_free(site->mime);
    root_stop(&site->root);
}

static int site_check(void *self)
{
    int err = site_start(self);

    if (!err)
        site_stop(self);
    return err;
}

static int site_handle(void *self, struct sl_request *req)
{
    int err;

    if (!strcmp(req->method, "GET") || !strcmp(req->method, "HEAD"))
        return lookup_serve(self, req);
    err = sl_header(req, "Allow", "GET, HEAD, OPTIONS");
    if (err)
        return err;
    if (!strcmp(req->method, "OPTIONS"))
        return sl_status(req, 204, NULL);
    return reply_text(req, 405, "Files can be read only, by GET or HEAD.\n");
}

__attribute__((visibility("default"))) const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "static",
    .size = sizeof(struct site),
    .options = options,
    .check = site_check,
    .start = site_start,
    .handle = site_handle,
    .stop = site_stop,
    .is_quick = true,
};
