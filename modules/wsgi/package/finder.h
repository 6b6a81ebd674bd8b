/*
 * finder.h: where `import syncless` finds its package.
 */
#ifndef FINDER_H
#define FINDER_H

/* Call it once, after the interpreter has started. */
int finder_init(void);

#endif
