/* wide.h: the buffers of streams of wide characters. */
#ifndef LIBC_WIDE_H
#define LIBC_WIDE_H

#include <stdbool.h>
#include <stdio.h>
#include <wchar.h>

/* The first fields of libc's struct, which are part of its ABI: old programs have getwc_unlocked as a macro. */
struct wide_buffer {
    wchar_t *read_ptr, *read_end, *read_base;
    wchar_t *write_base, *write_ptr, *write_end;
};

static inline struct wide_buffer *wide_buffer_of(const FILE *file)
{
    return (struct wide_buffer *)(void *)file->_wide_data;
}

/* Characters that can be read without the descriptor. */
static inline size_t wide_buffered(const FILE *file)
{
    const struct wide_buffer *wide = wide_buffer_of(file);

    return file->_mode > 0 ? (size_t)(wide->read_end - wide->read_ptr) : 0;
}

/* Whether characters are in the buffer that were not written yet. */
bool wide_has_pending(const FILE *file);

/* Write all that is in the buffer, and text, of which size characters are. The stream is held. Returns false after an
 * error, with errno. */
bool wide_write(FILE *file, const wchar_t *text, size_t size);

/* Have the buffer contain something. Returns false at the end of the file or after an error, with errno. */
bool wide_fill(FILE *file);

#endif
