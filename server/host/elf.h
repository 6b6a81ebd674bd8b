/* elf.h: whether an executable can be the host of the server. */
#ifndef HOST_ELF_H
#define HOST_ELF_H

#include <stdbool.h>

/* Whether the file begins with #!, so that the kernel runs another one. False if it cannot be read. */
bool elf_is_script(const char *path);

/* Returns whether LD_PRELOAD would not work for the executable at path: then why has the reason. */
bool elf_refuse(const char *path, char *why);

#endif
