/*
 * mime.c: the media type of a file, by the extension of its name.
 *
 * Three sources in the format of mime.types (a type and the extensions it is for on each line, # for comments) become
 * one sorted array, made once at start and searched by bisection. What is sent as Content-Type is put together then
 * too, so that a request makes nothing.
 */
#include "mime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mime_builtin.h"
#include "syncless.h"

#define SYSTEM_FILE "/etc/mime.types"

struct entry {
    const char *extension; /* lies in mime.texts */
    struct mime_type *type;
    size_t order; /* in which it was read */
};

struct mime {
    struct mime_type **types;
    size_t type_count, type_room;
    struct entry *entries;
    size_t entry_count, entry_room;
    char *texts[3]; /* the sources, cut into strings */
    size_t text_count;
    struct mime_type *fallback;
    const char *charset;
};

/* Room for one more in an array. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? 2 * *room : 64;
    return sl_must(reallocarray(array, *room, size));
}

/* Whether files of that type are compressed already. */
static bool is_packed(const char *name)
{
    static const char *const loose[] = {"image/svg", "image/bmp", "image/vnd.microsoft.icon", "audio/midi"};
    static const char *const packed[] = {
        "image/",
        "audio/",
        "video/",
        "font/woff",
        "application/zip",
        "application/gzip",
        "application/x-7",
        "application/zstd",
        "application/x-bzip2",
        "application/x-xz",
        "application/vnd.rar",
        "application/epub+zip",
        "application/java-archive",
        "application/vnd.openxmlformats",
        "application/vnd.oasis",
        "application/x-debian",
        "application/x-rpm",
        "application/vnd.android.package-archive",
    };

    for (size_t i = 0; i < sizeof(loose) / sizeof(*loose); i++)
        if (!strncmp(name, loose[i], strlen(loose[i])))
            return false;
    for (size_t i = 0; i < sizeof(packed) / sizeof(*packed); i++)
        if (!strncmp(name, packed[i], strlen(packed[i])))
            return true;
    return false;
}

static struct mime_type *add_type(struct mime *mime, const char *name)
{
    bool charset = mime->charset && !strncmp(name, "text/", 5) && !strchr(name, ';');
    struct mime_type *type = sl_must(malloc(sizeof(*type)));
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", name, charset ? "; charset=" : "", charset ? mime->charset : "") < 0)
        text = NULL;
    *type = (struct mime_type){.name = sl_must(text), .packed = is_packed(name)};
    mime->types = grow(mime->types, mime->type_count, &mime->type_room, sizeof(*mime->types));
    mime->types[mime->type_count++] = type;
    return type;
}

static void add_entry(struct mime *mime, const char *extension, struct mime_type *type)
{
    mime->entries = grow(mime->entries, mime->entry_count, &mime->entry_room, sizeof(*mime->entries));
    mime->entries[mime->entry_count] = (struct entry){extension, type, mime->entry_count};
    mime->entry_count++;
}

/* One line. False if it does not begin with a media type. */
static bool parse_line(struct mime *mime, char *line)
{
    static const char blanks[] = " \t\r";
    char *rest, *name, *extension;
    struct mime_type *type = NULL;

    line[strcspn(line, "#")] = '\0';
    name = strtok_r(line, blanks, &rest);
    if (!name)
        return true;
    if (!strchr(name, '/'))
        return false;
    while ((extension = strtok_r(NULL, blanks, &rest))) {
        if (!type)
            type = add_type(mime, name);
        add_entry(mime, extension, type);
    }
    return true;
}

/* Take over a text. file is its name for the log, NULL to pass over bad lines. */
static int parse(struct mime *mime, char *text, const char *file)
{
    char *next = text, *line;

    mime->texts[mime->text_count++] = text;
    for (int number = 1; (line = strsep(&next, "\n")); number++) {
        if (!parse_line(mime, line) && file) {
            sl_log(
                NULL, SL_ERROR,
                "static: %s:%d: \"%s\" is not a media type; a line is a type such as text/html and the extensions it "
                "is for",
                file, number, line + strspn(line, " \t"));
            return -EINVAL;
        }
    }
    return 0;
}

/* The whole file as a string; NULL with errno. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    int error;

    if (!file)
        return NULL;
    errno = 0;
    if (getdelim(&text, &room, '\0', file) < 0) {
        error = errno;
        free(text);
        text = error ? NULL : sl_must(strdup(""));
        errno = error;
    }
    fclose(file);
    return text;
}

static int order(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int rc = strcasecmp(left->extension, right->extension);

    return rc ? rc : (left->order > right->order) - (left->order < right->order);
}

/* Sort, and keep what was read first for each extension. */
static void sort_entries(struct mime *mime)
{
    size_t kept = 0;

    qsort(mime->entries, mime->entry_count, sizeof(*mime->entries), order);
    for (size_t i = 0; i < mime->entry_count; i++)
        if (kept == 0 || strcasecmp(mime->entries[kept - 1].extension, mime->entries[i].extension))
            mime->entries[kept++] = mime->entries[i];
    mime->entry_count = kept;
}

static int load(struct mime *mime, const char *file)
{
    char *text;

    if (file) {
        text = read_text(file);
        if (!text) {
            int rc = -errno;
            sl_log(NULL, SL_ERROR, "static: cannot read mime-types = %s: %s", file, strerror(-rc));
            return rc;
        }
        if (parse(mime, text, file) < 0)
            return -EINVAL;
    }
    parse(mime, sl_must(strdup(mime_builtin)), NULL);
    text = read_text(SYSTEM_FILE);
    if (text)
        parse(mime, text, NULL);
    return 0;
}

struct mime *mime_new(const char *file, const char *fallback, const char *charset)
{
    struct mime *mime = sl_must(calloc(1, sizeof(*mime)));

    mime->charset = charset;
    mime->fallback = add_type(mime, fallback);
    if (load(mime, file) < 0) {
        mime_free(mime);
        return NULL;
    }
    sort_entries(mime);
    return mime;
}

void mime_free(struct mime *mime)
{
    for (size_t i = 0; i < mime->type_count; i++) {
        free(mime->types[i]->name);
        free(mime->types[i]);
    }
    for (size_t i = 0; i < mime->text_count; i++)
        free(mime->texts[i]);
    free(mime->types);
    free(mime->entries);
    free(mime);
}

const struct mime_type *mime_find(const struct mime *mime, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    size_t low = 0, high = mime->entry_count;

    while (dot && low < high) {
        size_t middle = (low + high) / 2;
        int rc = strcasecmp(dot + 1, mime->entries[middle].extension);

        if (rc == 0)
            return mime->entries[middle].type;
        if (rc < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return mime->fallback;
}
