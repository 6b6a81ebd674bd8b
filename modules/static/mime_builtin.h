/* mime_builtin.h: the media types known without any file. */
#ifndef MIME_BUILTIN_H
#define MIME_BUILTIN_H

/* Text in the format of mime.types. */
extern const char mime_builtin[];

#endif
