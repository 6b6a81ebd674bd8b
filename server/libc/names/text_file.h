/* text_file.h: configuration files of libc, which are read again when they have changed. */
#ifndef LIBC_TEXT_FILE_H
#define LIBC_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* Starts as zero. */
struct text_file {
    char *text;       /* NUL-terminated, owned; NULL before it is read for the first time */
    struct stat st;   /* of the file when it was read */
    unsigned version; /* how often it was read */
};

/* Read the file if it has changed since the last time. */
void text_file_refresh(struct text_file *file, const char *path);

/* Copy the next word of a line and step over it. Returns false at the end of the line or at a comment. */
bool text_next_word(const char **at, char *word, size_t size);

/* Returns NULL after the last line. */
const char *text_next_line(const char *at);

#endif
