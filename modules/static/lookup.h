/* lookup.h: from the path of a request to what is answered. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "site.h"
#include "syncless.h"

/* Answer a GET or HEAD. Returns what handle() shall return. */
int lookup_serve(struct site *site, struct sl_request *req);

#endif
