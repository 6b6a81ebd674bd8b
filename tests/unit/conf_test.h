/*
 * conf_test.h: what the tests of conf/ share: texts read under the name t.ini, errors and entries as one string, files
 * in a directory of their own, and a module "shop" with a key of every kind, ranges, and a renamed key.
 */
#ifndef CONF_TEST_H
#define CONF_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "any_cmocka.h"

#include "base/array.h"
#include "conf/internal.h"
#include "settings/settings.h"

struct shop {
    const char *name;
    const char *root;
    bool list;
    int64_t number;
    int64_t size;
    int64_t wait;
    const char *const *env;
    const char *const *paths;
    int color;
    const char *venv;
    int64_t count;
    int64_t buffer;
    int64_t pause;
};

static const char *const colors[] = {"red", "green", "blue", NULL};

static const struct sl_option shop_options[] = {
    SL_OPTION("name", SL_STRING, struct shop, name, .default_value = "noname"),
    SL_OPTION("root", SL_PATH, struct shop, root),
    SL_OPTION("list", SL_BOOL, struct shop, list, .default_value = "yes"),
    SL_OPTION("number", SL_INTEGER, struct shop, number, .default_value = "-7"),
    SL_OPTION("size", SL_SIZE, struct shop, size, .default_value = "64k"),
    SL_OPTION("wait", SL_DURATION, struct shop, wait),
    SL_OPTION("env", SL_STRINGS, struct shop, env, .old_name = "environment"),
    SL_OPTION("paths", SL_PATHS, struct shop, paths, .default_value = "lib"),
    SL_OPTION("color", SL_CHOICE, struct shop, color, .default_value = "green", .choices = colors),
    SL_OPTION("venv", SL_PATH, struct shop, venv, .flags = SL_PROCESS, .old_name = "python-home"),
    SL_OPTION("count", SL_INTEGER, struct shop, count, .default_value = "1", .min = 1, .max = 100,
              .old_name = "repeat-count"),
    SL_OPTION("buffer", SL_SIZE, struct shop, buffer, .default_value = "4k", .min = 512, .max = 1 << 20),
    SL_OPTION("pause", SL_DURATION, struct shop, pause, .default_value = "2s", .min = 1500, .max = INT64_MAX),
    {.name = NULL},
};

static inline void read_ini_bytes(struct conf *c, const char *text, size_t size)
{
    FILE *in = fmemopen((void *)text, size, "r");

    assert_non_null(in);
    conf_read_stream(c, in, "t.ini");
    fclose(in);
}

static inline struct conf *parse_ini(const char *text)
{
    struct conf *c = conf_new(settings_sections);

    if (*text)
        read_ini_bytes(c, text, strlen(text));
    return c;
}

/* Messages, a line each, in memory of c. */
static inline const char *join_messages(struct conf *c, const struct conf_message *m)
{
    const char *all = "";

    for (; m; m = m->next)
        all = arena_printf(&c->arena, "%s%s\n", all, m->text);
    return all;
}

static inline const char *errors_of(struct conf *c)
{
    return join_messages(c, c->errors);
}

static inline const char *warnings_of(struct conf *c)
{
    return join_messages(c, c->warnings);
}

/* All entries, "[title] key=value;" with the sections in order, in memory of c. */
static inline const char *entries_of(struct conf *c)
{
    const char *all = "";

    for (const struct conf_section *s = c->sections; s; s = s->next) {
        all = arena_printf(&c->arena, "%s[%s]", all, s->title);
        for (const struct conf_entry *e = s->entries; e; e = e->next)
            all = arena_printf(&c->arena, "%s %s=%s;", all, e->key, e->value);
    }
    return all;
}

/* Fill every [shop ...] section the way the server does; the instances are in memory of c. */
static inline struct shop *fill_shops(struct conf *c, struct mount_limits *limits)
{
    struct shop *shops = arena_alloc(&c->arena, 8 * sizeof(*shops));
    int n = 0;

    memset(shops, 0, 8 * sizeof(*shops));
    for (struct conf_section *s = conf_modules(c, NULL); s; s = conf_modules(c, s)) {
        bool mount = s->prefix != NULL;

        assert_true(n < 8);
        settings_fill_mount(c, s, shop_options, mount ? &shops[n] : NULL, &limits[n]);
        n += mount;
    }
    return shops;
}

/* The working directory of the tests with files, between enter_dir and leave_dir. */
static char dir[] = "/tmp/test_conf.XXXXXX";

static inline int enter_dir(void **state)
{
    return !mkdtemp(dir) || chdir(dir) || mkdir("conf.d", 0700) || mkdir("odd[1]*", 0700) || mkdir("odd[1]*/d", 0700);
}

static inline int leave_dir(void **state)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -r %s", dir);
    return chdir("/") || system(command);
}

static inline void put_ini_file(const char *name, const char *text)
{
    FILE *out = fopen(name, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

#endif
