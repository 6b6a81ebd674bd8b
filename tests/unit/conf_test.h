/*
 * conf_test.h: what the tests of conf/ share: texts read under the name t.ini, errors and entries as one string, files
 * in a directory of their own, and a module "shop" with a key of every kind.
 */
#ifndef CONF_TEST_H
#define CONF_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/internal.h"
#include "settings/limits.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

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
};

static const char *const colors[] = {"red", "green", "blue", NULL};

static const struct sl_option shop_options[] = {
    {.name = "name", .kind = SL_STRING, .offset = offsetof(struct shop, name), .default_value = "noname"},
    {.name = "root", .kind = SL_PATH, .offset = offsetof(struct shop, root)},
    {.name = "list", .kind = SL_BOOL, .offset = offsetof(struct shop, list), .default_value = "yes"},
    {.name = "number", .kind = SL_INTEGER, .offset = offsetof(struct shop, number), .default_value = "-7"},
    {.name = "size", .kind = SL_SIZE, .offset = offsetof(struct shop, size), .default_value = "64k"},
    {.name = "wait", .kind = SL_DURATION, .offset = offsetof(struct shop, wait)},
    {.name = "env", .kind = SL_STRINGS, .offset = offsetof(struct shop, env)},
    {.name = "paths", .kind = SL_PATHS, .offset = offsetof(struct shop, paths), .default_value = "lib"},
    {.name = "color",
     .kind = SL_CHOICE,
     .offset = offsetof(struct shop, color),
     .default_value = "green",
     .choices = colors},
    {.name = "venv", .kind = SL_PATH, .offset = offsetof(struct shop, venv), .flags = SL_PROCESS},
    {.name = NULL},
};

static inline void read_bytes(struct conf *c, const char *text, size_t size)
{
    FILE *in = fmemopen((void *)text, size, "r");

    assert_non_null(in);
    conf_read_stream(c, in, "t.ini");
    fclose(in);
}

static inline struct conf *parse(const char *text)
{
    struct conf *c = conf_new();

    if (*text)
        read_bytes(c, text, strlen(text));
    return c;
}

/* All errors, a line each, in memory of c. */
static inline const char *errors(struct conf *c)
{
    const char *all = "";

    for (const struct conf_error *e = c->errors; e; e = e->next)
        all = arena_printf(&c->arena, "%s%s\n", all, e->text);
    return all;
}

/* All entries, "[title] key=value;" with the sections in order, in memory of c. */
static inline const char *entries(struct conf *c)
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
static inline struct shop *fill(struct conf *c, struct limits *limits)
{
    struct shop *shops = arena_alloc(&c->arena, 8 * sizeof(*shops));
    int n = 0;

    memset(shops, 0, 8 * sizeof(*shops));
    for (struct conf_section *s = conf_modules(c, NULL); s; s = conf_modules(c, s)) {
        bool mount = s->prefix != NULL;

        assert_true(n < 8);
        conf_fill(c, s, shop_options, mount ? &shops[n] : NULL, mount ? &limits[n] : NULL);
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

static inline void put(const char *name, const char *text)
{
    FILE *out = fopen(name, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

#endif
