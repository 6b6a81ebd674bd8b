/* listing.h: the contents of a folder as an HTML page. */
#ifndef LISTING_H
#define LISTING_H

#include "site.h"
#include "syncless.h"

/* Answer with a page that lists the folder open as fd, and close fd. Returns the result of sl_module.handle. */
int listing_send(const struct site *site, struct sl_request *req, int fd);

#endif
