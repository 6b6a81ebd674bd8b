/*
 * condition.c: the request fields a file's answer depends on, and conditional requests (RFC 9110 section 13).
 *
 * The ETag is made of inode, size and the time of the last change in nanoseconds: a file that is exchanged, the way
 * deployments do it, has another inode, and one that is written to another time. So it is a strong one, good for
 * If-Match and If-Range, and costs no look into the file.
 */
#include "condition.h"

#include <string.h>
#include <strings.h>

/* Fields that are lists may come in several lines, which mean the same as one. Of the others a second makes nonsense,
 * and joined they are just that: malformed, and so ignored. */
static const char *join(struct sl_request *req, const char *before, const char *value)
{
    return before ? sl_printf(req, "%s, %s", before, value) : value;
}

void asked_read(struct sl_request *req, struct asked *asked)
{
    static const struct {
        const char *name;
        uint32_t size;
        size_t offset;
    } known[] = {
#define FIELD(text, member) {text, sizeof(text) - 1, offsetof(struct asked, member)}
        FIELD("Range", range),
        FIELD("If-Range", if_range),
        FIELD("If-Match", if_match),
        FIELD("If-None-Match", if_none_match),
        FIELD("If-Modified-Since", if_modified_since),
        FIELD("If-Unmodified-Since", if_unmodified_since),
        FIELD("Accept-Encoding", accept_encoding),
#undef FIELD
    };

    *asked = (struct asked){0};
    for (const struct sl_field *field = req->fields; field < req->fields + req->field_count; field++) {
        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
            if (field->name_size == known[i].size && !strncasecmp(field->name, known[i].name, known[i].size)) {
                const char **value = (const char **)((char *)asked + known[i].offset);

                *value = join(req, *value, field->value);
            }
        }
    }
}

static char *put_hex(char *at, uint64_t number)
{
    int shift = number ? (63 - __builtin_clzll(number)) / 4 * 4 : 0;

    for (; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[number >> shift & 15];
    return at;
}

/* A date that is not one of those we can write, or ahead of our clock, is cut to what may be said (RFC 9110 section
 * 8.8.2.1). */
static time_t sayable(time_t modified)
{
    time_t now = time(NULL);

    return modified < 0 ? 0 : modified > now ? now : modified;
}

void validators_init(struct validators *v, const struct stat *st, const char *suffix)
{
    char *at = v->etag;

    *at++ = '"';
    at = put_hex(at, st->st_ino);
    *at++ = '-';
    at = put_hex(at, (uint64_t)st->st_size);
    *at++ = '-';
    at = put_hex(at, (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec);
    at = stpcpy(at, suffix);
    stpcpy(at, "\"");
    v->modified = sayable(st->st_mtim.tv_sec);
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* Whether a list of entity tags, or "*", has ours. Ours is strong, so the strong comparison only rules out W/ tags. */
static bool is_listed(const char *list, const char *etag, bool strong)
{
    const char *at = list + strspn(list, " \t,");

    if (*at == '*')
        return !*skip_blanks(at + 1);
    for (; *at; at += strspn(at, " \t,")) {
        bool weak = !strncmp(at, "W/", 2);
        const char *tag = weak ? at + 2 : at;
        const char *end = *tag == '"' ? strchr(tag + 1, '"') : NULL;

        if (!end) /* malformed from here on */
            return false;
        at = end + 1;
        if (!(weak && strong) && (size_t)(at - tag) == strlen(etag) && !memcmp(tag, etag, (size_t)(at - tag)))
            return true;
    }
    return false;
}

/* Whether the file was changed after that date. A malformed date counts as absent. */
static bool changed_since(const struct validators *v, const char *date, bool absent)
{
    time_t when;

    return date && httpdate_parse(date, &when) ? v->modified > when : absent;
}

int condition_check(const struct asked *asked, const struct validators *v)
{
    if (asked->if_match) {
        if (!is_listed(asked->if_match, v->etag, true))
            return 412;
    } else if (changed_since(v, asked->if_unmodified_since, false)) {
        return 412;
    }
    if (asked->if_none_match)
        return is_listed(asked->if_none_match, v->etag, false) ? 304 : 0;
    return changed_since(v, asked->if_modified_since, true) ? 0 : 304;
}

bool condition_range(const struct asked *asked, const struct validators *v)
{
    const char *value = asked->if_range;
    time_t when;

    if (!value)
        return true;
    value = skip_blanks(value);
    if (*value == '"' || !strncmp(value, "W/", 2))
        return !strcmp(value, v->etag);
    /* A date is a strong validator only if the file could not change again within the same second. */
    return httpdate_parse(value, &when) && when == v->modified && time(NULL) > when + 1;
}
