/* listing.h: the content of a folder as a page. */
#ifndef LISTING_H
#define LISTING_H

#include "site.h"
#include "syncless.h"

/* Answer with a page that lists the folder open as fd, which is closed. Returns what handle() shall return. */
int listing_send(const struct site *site, struct sl_request *req, int fd);

#endif
