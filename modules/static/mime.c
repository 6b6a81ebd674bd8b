/*
 * mime.c: the media type of a file, by the extension of its name.
 *
 * Up to three sources in the format of mime.types (on each line a type and its extensions, # begins a comment) are read
 * into one sorted array when the instance starts; it is searched by bisection. The values of Content-Type are made then
 * too, so that a request has nothing to format.
 */
#include "mime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mime_builtin.h"
#include "syncless.h"

#define SYSTEM_FILE "/etc/mime.types"

struct mime_entry {
    const char *extension; /* points into mime.texts */
    struct mime_type *type;
    size_t order; /* position in the sources */
};

struct mime {
    struct mime_type **types;
    size_t type_count, type_capacity;
    struct mime_entry *entries;
    size_t entry_count, entry_capacity;
    char *texts[3]; /* the sources; parsing puts NULs into them */
    size_t text_count;
    struct mime_type *fallback;
    const char *charset;
};

/* Make sure that an array of count elements has capacity for one more. Returns the array. */
static void *mime_reserve(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? 2 * *capacity : 64;
    return sl_must(reallocarray(array, *capacity, size));
}

/* Whether the format of files of that type is a compressed one. */
static bool is_compressed(const char *name)
{
    static const char *const uncompressed[] = {"image/svg", "image/bmp", "image/vnd.microsoft.icon", "audio/midi"};
    static const char *const compressed[] = {
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

    for (size_t i = 0; i < sizeof(uncompressed) / sizeof(*uncompressed); i++)
        if (!strncmp(name, uncompressed[i], strlen(uncompressed[i])))
            return false;
    for (size_t i = 0; i < sizeof(compressed) / sizeof(*compressed); i++)
        if (!strncmp(name, compressed[i], strlen(compressed[i])))
            return true;
    return false;
}

static struct mime_type *mime_add_type(struct mime *mime, const char *name)
{
    bool charset = mime->charset && !strncmp(name, "text/", 5) && !strchr(name, ';');
    struct mime_type *type = sl_must(malloc(sizeof(*type)));
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", name, charset ? "; charset=" : "", charset ? mime->charset : "") < 0)
        text = NULL;
    *type = (struct mime_type){.name = sl_must(text), .compressed = is_compressed(name)};
    mime->types = mime_reserve(mime->types, mime->type_count, &mime->type_capacity, sizeof(*mime->types));
    mime->types[mime->type_count++] = type;
    return type;
}

static void mime_add_entry(struct mime *mime, const char *extension, struct mime_type *type)
{
    mime->entries = mime_reserve(mime->entries, mime->entry_count, &mime->entry_capacity, sizeof(*mime->entries));
    mime->entries[mime->entry_count] = (struct mime_entry){extension, type, mime->entry_count};
    mime->entry_count++;
}

/* Returns false if the line does not begin with a media type. */
static bool mime_parse_line(struct mime *mime, char *line)
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
            type = mime_add_type(mime, name);
        mime_add_entry(mime, extension, type);
    }
    return true;
}

/* Parse text, which mime owns from here on. file is its name for the log; if it is NULL, bad lines are skipped. 0 or
 * -EINVAL. */
static int mime_parse(struct mime *mime, char *text, const char *file)
{
    char *next = text, *line;

    mime->texts[mime->text_count++] = text;
    for (int number = 1; (line = strsep(&next, "\n")); number++) {
        if (!mime_parse_line(mime, line) && file) {
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

/* Returns the whole file as a string from malloc; NULL, with errno. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t capacity = 0;
    int error;

    if (!file)
        return NULL;
    errno = 0;
    if (getdelim(&text, &capacity, '\0', file) < 0) {
        error = errno;
        free(text);
        text = error ? NULL : sl_must(strdup(""));
        errno = error;
    }
    fclose(file);
    return text;
}

static int compare_extensions(const void *a, const void *b)
{
    const struct mime_entry *left = a, *right = b;
    int diff = strcasecmp(left->extension, right->extension);

    return diff ? diff : (left->order > right->order) - (left->order < right->order);
}

/* Sort the entries. Of those with one extension the first one read is kept. */
static void mime_sort(struct mime *mime)
{
    size_t kept = 0;

    qsort(mime->entries, mime->entry_count, sizeof(*mime->entries), compare_extensions);
    for (size_t i = 0; i < mime->entry_count; i++)
        if (kept == 0 || strcasecmp(mime->entries[kept - 1].extension, mime->entries[i].extension))
            mime->entries[kept++] = mime->entries[i];
    mime->entry_count = kept;
}

static int mime_load(struct mime *mime, const char *file)
{
    char *text;

    if (file) {
        text = read_text(file);
        if (!text) {
            int err = -errno;

            sl_log(NULL, SL_ERROR, "static: cannot read mime-types = %s: %s", file, strerror(-err));
            return err;
        }
        if (mime_parse(mime, text, file) < 0)
            return -EINVAL;
    }
    mime_parse(mime, sl_must(strdup(mime_builtin)), NULL);
    text = read_text(SYSTEM_FILE);
    if (text)
        mime_parse(mime, text, NULL);
    return 0;
}

struct mime *mime_new(const char *file, const char *fallback, const char *charset)
{
    struct mime *mime = sl_must(calloc(1, sizeof(*mime)));

    mime->charset = charset;
    mime->fallback = mime_add_type(mime, fallback);
    if (mime_load(mime, file) < 0) {
        mime_free(mime);
        return NULL;
    }
    mime_sort(mime);
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
        int diff = strcasecmp(dot + 1, mime->entries[middle].extension);

        if (diff == 0)
            return mime->entries[middle].type;
        if (diff < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return mime->fallback;
}
