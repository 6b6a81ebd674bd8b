/*
 * text_file.c: configuration files of libc, which are read again when they have changed.
 *
 * A file has changed if stat says so: another inode, size or time. Lines consist of words; # begins a comment.
 */
#include "libc/names/text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/real.h"

static bool is_same_version(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Returns what the file contains; "" if it cannot be read. */
static char *text_file_read(const char *path)
{
    char *bytes = xcalloc(1, 1);
    size_t size = 0, got;
    FILE *file = fopen(path, "re");
    char buf[4096];

    if (!file)
        return bytes;
    while ((got = fread(buf, 1, sizeof(buf), file)) > 0) {
        bytes = xrealloc(bytes, size + got + 1);
        memcpy(bytes + size, buf, got);
        size += got;
        bytes[size] = '\0';
    }
    fclose(file);
    return bytes;
}

/* Others may call this while the file is read. */
void text_file_refresh(struct text_file *file, const char *path)
{
    struct stat st = {0};
    char *text;

    if (stat(path, &st) < 0)
        st = (struct stat){0};
    if (file->text && is_same_version(&st, &file->st))
        return;
    text = text_file_read(path);
    free(file->text);
    file->text = text;
    file->st = st;
    file->version++;
}

bool text_next_word(const char **at, char *word, size_t size)
{
    size_t length;

    *at += strspn(*at, " \t\r");
    length = strcspn(*at, " \t\r\n#");
    if (length == 0)
        return false;
    snprintf(word, size, "%.*s", (int)length, *at);
    *at += length;
    return true;
}

const char *text_next_line(const char *at)
{
    at += strcspn(at, "\n");
    return *at ? at + 1 : NULL;
}
