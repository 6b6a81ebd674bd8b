/* mime.h: the media type of a file, by the extension of its name. */
#ifndef MIME_H
#define MIME_H

#include <stdbool.h>

struct mime;

struct mime_type {
    char *name;      /* the value of Content-Type */
    bool compressed; /* the format is a compressed one: a coding would not make the file smaller */
};

/* Make the table from file (NULL: none), the built-in types and /etc/mime.types; the first one that has an extension
 * wins. fallback is the type of all other files; charset, if not NULL, is added to text types. Freed by mime_free.
 * Returns NULL, and logs why, if the file is unreadable or malformed. */
struct mime *mime_new(const char *file, const char *fallback, const char *charset);
void mime_free(struct mime *mime);

/* The type of the file at path. Never NULL. */
const struct mime_type *mime_find(const struct mime *mime, const char *path);

#endif
