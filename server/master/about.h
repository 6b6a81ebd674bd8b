/* about.h: what the server is: versions and configuration. */
#ifndef MASTER_ABOUT_H
#define MASTER_ABOUT_H

#include "base/text.h"
#include "inside/question.h"

/* versions has lines "NAME: VERSION", and is borrowed. */
void about_init(const char *versions);

/* Write it: JSON or text, as the question wants. Passwords are left out. */
void about_write(const struct question *q, struct text *out);

#endif
