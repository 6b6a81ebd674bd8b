/* fork_section.h: C code that forks keeps the GIL to be alone. */
#ifndef FORK_SECTION_H
#define FORK_SECTION_H

/* Has CPython say where such a section begins and ends. Returns -1 with an exception set. */
int fork_section_init(void);

#endif
