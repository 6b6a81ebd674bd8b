/* subject.h: what an argument without an option names: a configuration or an application. */
#ifndef MAIN_SUBJECT_H
#define MAIN_SUBJECT_H

#include <stddef.h>

enum subject {
    SUBJECT_CONFIG, /* an ini file */
    SUBJECT_APP,    /* MODULE:APP, or a Python file */
    SUBJECT_WRONG,  /* neither */
};

/* Returns what the word names; if it is wrong, what to write instead is in size bytes of text. */
enum subject subject_of(const char *word, char *text, size_t size);

/* Returns NULL if a file may be an ini file, by its name; else size bytes of text say what to do with it. */
const char *subject_check_config(const char *file, char *text, size_t size);

#endif
