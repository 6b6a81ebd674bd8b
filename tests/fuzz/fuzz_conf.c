/* fuzz_conf.c: any text as an ini file: it is read, or every mistake has a line that says so. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const choices[] = {"one", "two", NULL};

/* A module with a key of each kind. */
struct instance {
    const char *text, *path;
    bool flag;
    int64_t number, size, time;
    const char *const *texts, *const *paths;
    int choice;
};

static const struct sl_option options[] = {
    {.name = "text", .kind = SL_STRING, .offset = offsetof(struct instance, text), .flags = SL_PROCESS},
    {.name = "path", .kind = SL_PATH, .offset = offsetof(struct instance, path), .flags = SL_REQUIRED},
    {.name = "flag", .kind = SL_BOOL, .offset = offsetof(struct instance, flag), .default_value = "no"},
    {.name = "number", .kind = SL_INTEGER, .offset = offsetof(struct instance, number), .default_value = "1"},
    {.name = "size", .kind = SL_SIZE, .offset = offsetof(struct instance, size), .default_value = "1k"},
    {.name = "time", .kind = SL_DURATION, .offset = offsetof(struct instance, time), .default_value = "1s"},
    {.name = "texts", .kind = SL_STRINGS, .offset = offsetof(struct instance, texts)},
    {.name = "paths", .kind = SL_PATHS, .offset = offsetof(struct instance, paths), .flags = SL_PROCESS},
    {.name = "choice",
     .kind = SL_CHOICE,
     .offset = offsetof(struct instance, choice),
     .default_value = "one",
     .choices = choices},
    {.name = NULL},
};

static void fill_modules(struct conf *c)
{
    for (struct conf_section *s = conf_modules(c, NULL); s; s = conf_modules(c, s)) {
        struct instance instance = {0};
        struct mount_limits limits;

        settings_fill_mount(c, s, options, s->prefix ? &instance : NULL, s->prefix ? &limits : NULL);
        assert(!s->prefix || c->error_count > 0 || (instance.path && *instance.path == '/'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *null;
    struct settings settings;
    struct conf *c;
    FILE *in;

    if (size == 0 || (memmem(data, size, "include", 7) && memchr(data, '/', size)))
        return -1; /* what it would read there is not ours to choose */
    if (!null)
        null = fopen("/dev/null", "w");
    in = fmemopen((void *)data, size, "r");
    c = conf_new(settings_sections);
    conf_read_stream(c, in, "/nowhere/fuzz.ini");
    settings_fill(&settings, c);
    fill_modules(c);
    assert(conf_report(c, null) == c->error_count);
    conf_free(c);
    fclose(in);
    return 0;
}
