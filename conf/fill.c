/*
 * fill.c: raw entries to typed fields, by tables of struct sl_option.
 *
 * First each section is checked by itself: its keys are known, its values are of their kind and in their range, and
 * only lists are given more than once. Values that will be overridden are checked too. Then the fields are filled. A
 * key is looked for along a chain of sections: for a mount that is [MODULE /prefix], then [MODULE]. The first section
 * that gives the key gives all of its values. A key of the process (SL_PROCESS) is instead looked for in all sections
 * of the module: the process has one value, and all sections that give the key must agree. Defaults are texts like
 * those of the user, and are handled by the same code.
 *
 * A key that was renamed is accepted under its old name. It gets its new name before anything else looks at it, so the
 * two names are one key for everything that follows.
 */
#include "conf/options.h"

#include <errno.h>
#include <string.h>

#include "conf/internal.h"

#define MAX_DURATION (INT64_C(36500) * 24 * 3600 * 1000) /* milliseconds; 292 years of nanoseconds fit into int64_t */

/* ---- texts to values ---- */

static bool is_list(const struct sl_option *o)
{
    return o->kind == SL_STRINGS || o->kind == SL_PATHS;
}

static bool is_numeric(const struct sl_option *o)
{
    return o->kind == SL_INTEGER || o->kind == SL_SIZE || o->kind == SL_DURATION;
}

static const char *entry_path(struct conf *c, const struct conf_entry *e)
{
    return conf_path_join(c, e->here, e->value);
}

static const char *join_choices(struct conf *c, const char *const *choices)
{
    const char *list = choices[0];

    for (int i = 1; choices[i]; i++)
        list = arena_printf(&c->arena, "%s%s%s", list, choices[i + 1] ? ", " : " or ", choices[i]);
    return list;
}

static const char *expected_kind(struct conf *c, const struct sl_option *o)
{
    switch (o->kind) {
    case SL_BOOL:
        return "yes or no";
    case SL_INTEGER:
        return "a whole number";
    case SL_SIZE:
        return "a size such as 512, 64k, 4m or 1g";
    case SL_DURATION:
        return "a duration such as 500ms, 10s, 5m, 1h or 1d";
    case SL_CHOICE:
        return join_choices(c, o->choices);
    case SL_PATH:
    case SL_PATHS:
        return "a path (write . for the directory of the file)";
    default:
        return "nothing: the module's table has a kind that this server does not know";
    }
}

/* Returns the end of the range of an option; 0: it has none. Deadlines, which are nanoseconds, must not wrap around. */
static int64_t range_end(const struct sl_option *o)
{
    return o->kind == SL_DURATION && (!o->max || o->max > MAX_DURATION) ? MAX_DURATION : o->max;
}

static const char *expected_range(struct conf *c, const struct sl_option *o)
{
    const char *min = conf_value_text(c, o->kind, o->min);
    int64_t max = range_end(o);

    if (!max)
        return "a number that fits into 64 bits";
    if (max == INT64_MAX)
        return arena_printf(&c->arena, "%s or more", min);
    return arena_printf(&c->arena, "%s to %s", min, conf_value_text(c, o->kind, max));
}

/* An empty path is an error: no file is called "", and the directory itself is better written as a dot. */
static int store_path(struct conf *c, const struct conf_entry *e, const char **field)
{
    if (!*e->value)
        return -EINVAL;
    *field = entry_path(c, e);
    return 0;
}

/* Returns 0, -EINVAL: not of that kind, or -ERANGE: not an int64_t. */
static int store_value(struct conf *c, const struct sl_option *o, const struct conf_entry *e, void *field)
{
    switch (o->kind) {
    case SL_BOOL:
        return conf_value_bool(e->value, field);
    case SL_INTEGER:
        return conf_value_integer(e->value, field);
    case SL_SIZE:
        return conf_value_size(e->value, field);
    case SL_DURATION:
        return conf_value_duration(e->value, field);
    case SL_CHOICE:
        return conf_value_choice(e->value, o->choices, field);
    case SL_PATH:
    case SL_PATHS:
        return store_path(c, e, field);
    case SL_STRING:
    case SL_STRINGS:
        *(const char **)field = e->value;
        return 0;
    }
    return -EINVAL;
}

static bool is_in_range(const struct sl_option *o, int64_t value)
{
    int64_t max = range_end(o);

    return !max || (value >= o->min && value <= max);
}

/* Store the value of an entry, or record what is wrong with it. */
static void store_checked(struct conf *c, const struct sl_option *o, struct conf_entry *e, void *field)
{
    int err = store_value(c, o, e, field);

    if (!err && is_numeric(o) && !is_in_range(o, *(const int64_t *)field))
        err = -ERANGE;
    if (err)
        conf_entry_bad_value(c, e, "expected %s", err == -ERANGE ? expected_range(c, o) : expected_kind(c, o));
}

/* ---- a section by itself ---- */

const struct sl_option *conf_find_option(const struct sl_option *const *tables, const char *key)
{
    for (; *tables; tables++)
        for (const struct sl_option *o = *tables; o->name; o++)
            if (!strcmp(o->name, key))
                return o;
    return NULL;
}

static const struct sl_option *find_by_old_name(const struct sl_option *const *tables, const char *key)
{
    for (; *tables; tables++)
        for (const struct sl_option *o = *tables; o->name; o++)
            if (o->old_name && !strcmp(o->old_name, key))
                return o;
    return NULL;
}

static void replace_old_names(struct conf *c, struct conf_section *s, const struct sl_option *const *tables)
{
    if (s->has_new_names)
        return;
    s->has_new_names = true;
    for (struct conf_entry *e = s->entries; e; e = e->next) {
        const struct sl_option *o = find_by_old_name(tables, e->key);

        if (!o)
            continue;
        conf_warning(c, e->place, "\"%s\" has been renamed to \"%s\"; the old name still works", e->key, o->name);
        e->key = o->name;
    }
}

static void check_entry(struct conf *c, const struct sl_option *o, struct conf_entry *e)
{
    struct conf_entry *again = is_list(o) ? NULL : conf_entry_next(e);
    union {
        bool flag;
        int choice;
        int64_t number;
        const char *text;
    } unused;

    if (again)
        conf_entry_error(c, again, "\"%s\" is given twice; first at %s", o->name, conf_place_text(c, e->place));
    if (*e->value || !is_list(o))
        store_checked(c, o, e, &unused);
}

void conf_check_section(struct conf *c, struct conf_section *s, const struct sl_option *const *tables)
{
    for (struct conf_section *i = s ? c->sections : NULL; i; i = i->next)
        if (!strcmp(i->name, s->name))
            replace_old_names(c, i, tables);
    for (struct conf_entry *e = s ? s->entries : NULL; e; e = e->next) {
        const struct sl_option *o = conf_find_option(tables, e->key);

        if (!o) {
            conf_unknown_key(c, s, e, tables);
            continue;
        }
        e->secret = o->flags & SL_SECRET;
        check_entry(c, o, e);
    }
}

/* ---- which entry counts ---- */

/* The arguments of conf_fill_options. */
struct fill {
    struct conf *conf;
    struct conf_section *const *chain;
    size_t count;
    char *base;
};

static struct conf_entry *find_in_chain(const struct fill *f, const char *key)
{
    struct conf_entry *e = NULL;

    for (size_t i = 0; i < f->count && !e; i++)
        e = conf_entry_first(f->chain[i], key);
    return e;
}

static bool is_path(const struct sl_option *o)
{
    return o->kind == SL_PATH || o->kind == SL_PATHS;
}

static bool have_same_values(const struct fill *f, const struct sl_option *o, const struct conf_entry *a,
                             const struct conf_entry *b)
{
    for (; a && b; a = conf_entry_next(a), b = conf_entry_next(b)) {
        const char *left = is_path(o) ? entry_path(f->conf, a) : a->value;
        const char *right = is_path(o) ? entry_path(f->conf, b) : b->value;

        if (strcmp(left, right))
            return false;
    }
    return !a && !b;
}

/* Returns the value for the process: that of the lowest rank in any section of the module; of equal ranks, [MODULE]
 * comes first, then the order of appearance. */
static struct conf_entry *find_for_process(const struct fill *f, const struct sl_option *o)
{
    const char *module = f->chain[0]->name;
    struct conf_entry *own = conf_entry_first(f->chain[0], o->name);
    struct conf_entry *best = conf_entry_first(conf_section_find(f->conf, module), o->name);

    for (struct conf_section *s = f->conf->sections; s; s = s->next) {
        struct conf_entry *e = strcmp(s->name, module) ? NULL : conf_entry_first(s, o->name);

        if (e && (!best || e->rank < best->rank))
            best = e;
    }
    if (own && own->rank == best->rank && !have_same_values(f, o, own, best))
        conf_entry_error(f->conf, own, "\"%s\" belongs to the whole process, but [%s] does not agree with %s", o->name,
                         f->chain[0]->title, conf_place_text(f->conf, best->place));
    return best;
}

struct conf_entry *conf_find_entry(struct conf *c, struct conf_section *const *chain, size_t count,
                                   const struct sl_option *o)
{
    struct fill f = {c, chain, count, NULL};

    return o->flags & SL_PROCESS ? find_for_process(&f, o) : find_in_chain(&f, o->name);
}

struct conf_section *conf_giver(struct conf_section *const *chain, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (conf_entry_first(chain[i], key))
            return chain[i];
    return NULL;
}

/* ---- fields ---- */

/* Returns an entry with the default of an option; its place is that of the section. */
static struct conf_entry *make_default_entry(const struct fill *f, const struct sl_option *o)
{
    struct conf_entry *e = arena_alloc(&f->conf->arena, sizeof(*e));
    const struct conf_section *s = f->chain[0];

    *e = (struct conf_entry){.key = o->name, .value = o->default_value};
    e->here = s ? s->here : f->conf->cwd;
    if (s)
        e->place = s->place;
    return e;
}

/* Returns the values from e on; NULL if there are none. An empty value adds nothing: a lone "key =" is the empty list.
 */
static const char *const *make_list(const struct fill *f, const struct sl_option *o, struct conf_entry *e)
{
    const char **list;
    size_t count = 0;

    for (const struct conf_entry *i = e; i; i = conf_entry_next(i))
        count += *i->value != '\0';
    if (count == 0)
        return NULL;
    list = arena_alloc(&f->conf->arena, (count + 1) * sizeof(*list));
    count = 0;
    for (; e; e = conf_entry_next(e))
        if (*e->value)
            store_checked(f->conf, o, e, &list[count++]);
    list[count] = NULL;
    return list;
}

static void fill_option(const struct fill *f, const struct sl_option *o)
{
    struct conf_entry *e = conf_find_entry(f->conf, f->chain, f->count, o);
    void *field = f->base + o->offset;
    bool missing;

    if (!e && o->default_value)
        e = make_default_entry(f, o);
    missing = !e;
    if (is_list(o))
        missing = !(*(const char *const **)field = make_list(f, o, e));
    else if (e)
        store_checked(f->conf, o, e, field);
    if (missing && o->flags & SL_REQUIRED)
        conf_error(f->conf, f->chain[0]->place, "[%s] needs \"%s\": %s", f->chain[0]->title, o->name, o->help);
}

void conf_fill_options(struct conf *c, struct conf_section *const *chain, size_t count, const struct sl_option *options,
                       void *base)
{
    struct fill f = {c, chain, count, base};

    for (const struct sl_option *o = options; o && o->name; o++)
        fill_option(&f, o);
}
