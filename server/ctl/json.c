/*
 * json.c: JSON as a tree, for what a server answers.
 *
 * The text is read in place: strings end where their quotes were. A worker may run code of anybody, so nothing here
 * trusts the text: depth is bounded, and strings keep only printable ASCII, so that none of them can control the
 * terminal.
 */
#include "ctl/json.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/ctl.h"

#define MAX_DEPTH 32

struct json_reader {
    char *at, *end; /* *end is NUL */
    int depth;
};

static struct json *read_value(struct json_reader *r);

static void skip_space(struct json_reader *r)
{
    r->at += strspn(r->at, " \t\r\n");
}

/* Whether the next byte is this one, which is then read. */
static bool read_byte(struct json_reader *r, char byte)
{
    skip_space(r);
    if (*r->at != byte)
        return false;
    r->at++;
    return true;
}

/* ---- strings ---- */

static char printable(unsigned code)
{
    return code >= ' ' && code < 0x7f ? (char)code : '?';
}

/* Read what follows a backslash. Returns the character, or NUL if that is nothing. */
static char read_escape(struct json_reader *r)
{
    char digits[5] = "", *end;

    if (*r->at != 'u')
        return *r->at ? (strchr("\"\\/", *r->at) ? *r->at++ : (r->at++, '?')) : '\0';
    for (int i = 0; i < 4 && r->at[1 + i]; i++)
        digits[i] = r->at[1 + i];
    r->at += 1 + strlen(digits);
    return printable((unsigned)strtoul(digits, &end, 16));
}

/* Returns the string behind a quote, or NULL. */
static const char *read_string(struct json_reader *r)
{
    char *begin = r->at, *to = r->at;

    while (*r->at != '"') {
        char byte = *r->at;

        if (!byte)
            return NULL;
        r->at++;
        if (byte == '\\' && !(byte = read_escape(r)))
            return NULL;
        *to++ = printable((unsigned char)byte);
    }
    r->at++;
    *to = '\0';
    return begin;
}

/* ---- values ---- */

static struct json *json_new(enum json_kind kind)
{
    struct json *value = calloc(1, sizeof(*value));

    if (!value)
        ctl_fail(EX_OSERR, "out of memory");
    value->kind = kind;
    return value;
}

/* Read a member of an object, or of an array. Returns NULL if that is none. */
static struct json *read_member(struct json_reader *r, bool is_object)
{
    const char *name = NULL;
    struct json *value;

    if (is_object && (!read_byte(r, '"') || !(name = read_string(r)) || !read_byte(r, ':')))
        return NULL;
    value = read_value(r);
    if (value)
        value->name = name;
    return value;
}

/* Read an array or an object behind its first bracket. */
static struct json *read_members(struct json_reader *r, bool is_object)
{
    struct json *all = json_new(is_object ? JSON_OBJECT : JSON_ARRAY), **end = &all->first;
    char last = is_object ? '}' : ']';

    if (read_byte(r, last))
        return all;
    do {
        *end = read_member(r, is_object);
        if (!*end) {
            json_free(all);
            return NULL;
        }
        end = &(*end)->next;
    } while (read_byte(r, ','));
    if (read_byte(r, last))
        return all;
    json_free(all);
    return NULL;
}

static struct json *read_word(struct json_reader *r)
{
    static const struct {
        const char *word;
        enum json_kind kind;
        double number;
    } words[] = {{"true", JSON_BOOL, 1}, {"false", JSON_BOOL, 0}, {"null", JSON_NULL, 0}};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t size = strlen(words[i].word);

        if (!strncmp(r->at, words[i].word, size)) {
            struct json *value = json_new(words[i].kind);

            r->at += size;
            value->number = words[i].number;
            return value;
        }
    }
    return NULL;
}

static struct json *read_number(struct json_reader *r)
{
    char *end;
    double number = strtod(r->at, &end);
    struct json *value;

    if (end == r->at)
        return NULL;
    r->at = end;
    value = json_new(JSON_NUMBER);
    value->number = number;
    return value;
}

static struct json *read_string_value(struct json_reader *r)
{
    const char *text = read_string(r);
    struct json *value;

    if (!text)
        return NULL;
    value = json_new(JSON_STRING);
    value->text = text;
    return value;
}

/* Returns NULL if there is no value. */
static struct json *read_value(struct json_reader *r)
{
    struct json *value;

    if (++r->depth > MAX_DEPTH)
        return NULL;
    if (read_byte(r, '{'))
        value = read_members(r, true);
    else if (read_byte(r, '['))
        value = read_members(r, false);
    else if (read_byte(r, '"'))
        value = read_string_value(r);
    else if (strchr("-0123456789", *r->at) && *r->at)
        value = read_number(r);
    else
        value = read_word(r);
    r->depth--;
    return value;
}

struct json *json_parse(char *text, size_t size)
{
    struct json_reader r = {.at = text, .end = text + size};
    struct json *tree = read_value(&r);

    skip_space(&r);
    if (tree && r.at != r.end) {
        json_free(tree);
        return NULL;
    }
    return tree;
}

void json_free(struct json *tree)
{
    while (tree) {
        struct json *next = tree->next;

        json_free(tree->first);
        free(tree);
        tree = next;
    }
}

/* ---- looking at it ---- */

const struct json *json_member(const struct json *object, const char *name)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (const struct json *member = object->first; member; member = member->next)
        if (!strcmp(member->name, name))
            return member;
    return NULL;
}

const char *json_text(const struct json *object, const char *name)
{
    const struct json *member = json_member(object, name);

    return member && member->kind == JSON_STRING ? member->text : "";
}

double json_number(const struct json *object, const char *name)
{
    const struct json *member = json_member(object, name);

    return member ? member->number : 0;
}
