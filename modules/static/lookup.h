/* lookup.h: what the path of a request is answered with. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "site.h"
#include "syncless.h"

/* Answer a GET or HEAD. Returns the result of sl_module.handle. */
int lookup_serve(struct site *site, struct sl_request *req);

#endif
