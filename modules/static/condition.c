/*
 * condition.c: the request fields a file's answer depends on, and conditional requests (RFC 9110 section 13).
 *
 * The ETag is made of the inode, the size and the modification time in nanoseconds. A file that a deployment replaces
 * has another inode, one that is written to has another time. So the tag is a strong one, which If-Match and If-Range
 * need, and the file need not be read for it.
 */
#include "condition.h"

#include <string.h>
#include <strings.h>

/* Returns member if the name is the one expected, whose size it has. */
static const char **if_named(const char *name, const char *expected, const char **member)
{
    return strncasecmp(name, expected, strlen(expected)) ? NULL : member;
}

/* Returns where the value of a field belongs; NULL for other fields. Most have a name of another size. */
static const char **find_condition(struct conditions *c, const struct sl_field *field)
{
    switch (field->name_size) {
    case 5:
        return if_named(field->name, "Range", &c->range);
    case 8:
        if (field->name[3] == 'R' || field->name[3] == 'r')
            return if_named(field->name, "If-Range", &c->if_range);
        return if_named(field->name, "If-Match", &c->if_match);
    case 13:
        return if_named(field->name, "If-None-Match", &c->if_none_match);
    case 15:
        return if_named(field->name, "Accept-Encoding", &c->accept_encoding);
    case 17:
        return if_named(field->name, "If-Modified-Since", &c->if_modified_since);
    case 19:
        return if_named(field->name, "If-Unmodified-Since", &c->if_unmodified_since);
    default:
        return NULL;
    }
}

static bool is_named_as(const struct sl_field *a, const struct sl_field *b)
{
    return a->name_size == b->name_size && !strncasecmp(a->name, b->name, a->name_size);
}

/* Returns the values of all fields of that name as one list, which means the same. first is the first of them. */
static const char *join_list(struct sl_request *req, const struct sl_field *first)
{
    const struct sl_field *end = req->fields + req->field_count;
    size_t size = 1;
    char *list, *at;

    for (const struct sl_field *field = first; field < end; field++)
        size += is_named_as(field, first) ? field->value_size + 2 : 0;
    list = at = sl_alloc(req, size);
    for (const struct sl_field *field = first; field < end; field++)
        if (is_named_as(field, first))
            at = mempcpy(mempcpy(at, ", ", at > list ? 2 : 0), field->value, field->value_size);
    *at = '\0';
    return list;
}

static bool is_list_of_values(const struct conditions *c, const char *const *value)
{
    return value == &c->if_match || value == &c->if_none_match || value == &c->accept_encoding;
}

/* A list may come in several fields, which are joined when the second one is found. The others may come only once:
 * then "", which is malformed, is ignored. */
void conditions_read(struct conditions *conditions, struct sl_request *req)
{
    const struct sl_field *firsts[sizeof(*conditions) / sizeof(char *)] = {NULL};
    bool repeated[sizeof(*conditions) / sizeof(char *)] = {false};

    *conditions = (struct conditions){0};
    for (const struct sl_field *field = req->fields; field < req->fields + req->field_count; field++) {
        const char **value = find_condition(conditions, field);
        size_t n = value ? (size_t)(value - (const char **)conditions) : 0;

        if (!value || repeated[n])
            continue;
        repeated[n] = firsts[n] != NULL;
        if (!repeated[n])
            *value = field->value;
        else
            *value = is_list_of_values(conditions, value) ? join_list(req, firsts[n]) : "";
        firsts[n] = field;
    }
}

static char *etag_put_hex(char *at, uint64_t number)
{
    int shift = number ? (63 - __builtin_clzll(number)) / 4 * 4 : 0;

    for (; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[number >> shift & 15];
    return at;
}

/* Last-Modified must not be in the future (RFC 9110 section 8.8.2.1), and dates before 1970 cannot be written. */
static time_t clamp_modified(time_t modified)
{
    time_t now = time(NULL);

    return modified < 0 ? 0 : modified > now ? now : modified;
}

void validators_init(struct validators *v, const struct stat *st, const char *suffix)
{
    char *at = v->etag;

    *at++ = '"';
    at = etag_put_hex(at, st->st_ino);
    *at++ = '-';
    at = etag_put_hex(at, (uint64_t)st->st_size);
    *at++ = '-';
    at = etag_put_hex(at, (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec);
    at = stpcpy(at, suffix);
    stpcpy(at, "\"");
    v->modified = clamp_modified(st->st_mtim.tv_sec);
}

/* Whether a list of entity tags, or "*", matches etag. That is a strong one, so in a strong comparison only the tags of
 * the list that begin with W/ do not match. */
static bool etag_is_listed(const char *list, const char *etag, bool strong)
{
    const char *at = list + strspn(list, " \t,");

    if (*at == '*')
        return !at[1 + strspn(at + 1, " \t")];
    for (; *at; at += strspn(at, " \t,")) {
        bool weak = !strncmp(at, "W/", 2);
        const char *tag = weak ? at + 2 : at;
        const char *end = *tag == '"' ? strchr(tag + 1, '"') : NULL;

        if (!end) /* the rest is malformed */
            return false;
        at = end + 1;
        if (!(weak && strong) && (size_t)(at - tag) == strlen(etag) && !memcmp(tag, etag, (size_t)(at - tag)))
            return true;
    }
    return false;
}

/* Whether the file was changed after that date; absent if there is no date, or a malformed one. */
static bool changed_since(const struct validators *v, const char *date, bool absent)
{
    time_t when;

    return date && !sl_http_date_parse(date, &when) ? v->modified > when : absent;
}

int condition_check(const struct conditions *conditions, const struct validators *v)
{
    if (conditions->if_match) {
        if (!etag_is_listed(conditions->if_match, v->etag, true))
            return 412;
    } else if (changed_since(v, conditions->if_unmodified_since, false)) {
        return 412;
    }
    if (conditions->if_none_match)
        return etag_is_listed(conditions->if_none_match, v->etag, false) ? 304 : 0;
    return changed_since(v, conditions->if_modified_since, true) ? 0 : 304;
}

bool condition_range(const struct conditions *conditions, const struct validators *v)
{
    const char *value = conditions->if_range;
    time_t when;

    if (!value)
        return true;
    value += strspn(value, " \t");
    if (*value == '"' || !strncmp(value, "W/", 2))
        return !strcmp(value, v->etag);
    /* A date is a strong validator only once the second is over in which the file could have changed again. */
    return !sl_http_date_parse(value, &when) && when == v->modified && time(NULL) > when + 1;
}
