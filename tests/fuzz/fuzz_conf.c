/* fuzz_conf.c: any text as an ini file: it is read and all values are in their ranges, or an error says why not. */
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
    SL_OPTION("text", SL_STRING, struct instance, text, .flags = SL_PROCESS, .old_name = "word"),
    SL_OPTION("path", SL_PATH, struct instance, path, .flags = SL_REQUIRED),
    SL_OPTION("flag", SL_BOOL, struct instance, flag, .default_value = "no"),
    SL_OPTION("number", SL_INTEGER, struct instance, number, .default_value = "1", .min = -1, .max = 9,
              .old_name = "count"),
    SL_OPTION("size", SL_SIZE, struct instance, size, .default_value = "1k", .min = 1, .max = 1 << 20),
    SL_OPTION("time", SL_DURATION, struct instance, time, .default_value = "1s"),
    SL_OPTION("texts", SL_STRINGS, struct instance, texts),
    SL_OPTION("paths", SL_PATHS, struct instance, paths, .flags = SL_PROCESS),
    SL_OPTION("choice", SL_CHOICE, struct instance, choice, .default_value = "one", .choices = choices),
    {.name = NULL},
};

static void fill_fuzzed_mounts(struct conf *c)
{
    for (struct conf_section *s = conf_modules(c, NULL); s; s = conf_modules(c, s)) {
        struct instance instance = {0};
        struct mount_limits limits;

        settings_fill_mount(c, s, options, s->prefix ? &instance : NULL, s->prefix ? &limits : NULL);
        if (!s->prefix || c->error_count > 0)
            continue;
        assert(instance.path && *instance.path == '/');
        assert(instance.number >= -1 && instance.number <= 9 && instance.size >= 1 && instance.size <= 1 << 20);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *null;
    struct settings settings;
    struct conf *c;
    FILE *in;

    if (size == 0 || (memmem(data, size, "include", 7) && memchr(data, '/', size)))
        return -1; /* it might read any file */
    if (!null)
        null = fopen("/dev/null", "w");
    in = fmemopen((void *)data, size, "r");
    c = conf_new(settings_sections);
    conf_read_stream(c, in, "/nowhere/fuzz.ini");
    settings_fill(&settings, c);
    fill_fuzzed_mounts(c);
    assert(conf_report(c, null) == c->error_count);
    conf_free(c);
    fclose(in);
    return 0;
}
