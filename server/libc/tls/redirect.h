/* redirect.h: calls of some functions from shared objects go to others. */
#ifndef LIBC_REDIRECT_H
#define LIBC_REDIRECT_H

struct sl_redirect;

/* See sl_redirect in syncless/runtime.h. */
void redirect_add(const struct sl_redirect *table);

/* Objects may have been loaded: redirect theirs. Any thread. */
void redirect_loaded(void);

#endif
