/* mime.h: the media type of a file, by the extension of its name. */
#ifndef MIME_H
#define MIME_H

#include <stdbool.h>

struct mime;

struct mime_type {
    char *name;  /* ready for Content-Type */
    bool packed; /* such files are compressed as they are: no coding makes them smaller */
};

/* Make the table from the file (NULL for none), the built-in types and /etc/mime.types; of two that know an extension
 * the first wins. fallback is the type of everything else; charset, if not NULL, is added to text types. NULL and a
 * line in the log if the file is unreadable or malformed. */
struct mime *mime_new(const char *file, const char *fallback, const char *charset);
void mime_free(struct mime *mime);

/* The type of the file at path. Never NULL. */
const struct mime_type *mime_find(const struct mime *mime, const char *path);

#endif
