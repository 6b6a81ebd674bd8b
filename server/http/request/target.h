/* target.h: the request-target, RFC 9112 section 3.2. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "http/request/request.h"

/* Split view.target into host (absolute form only), path, decoded, and query. Returns 0, or the status to refuse the
 * request with and *why. */
int target_parse(struct request *req, const char **why);

/* Replace the host of the request, in view.host and in the Host field. The text must stay as long as the request. */
void target_set_host(struct request *req, const char *host);

/* As sl_host in syncless.h. */
size_t target_host_size(const struct sl_request *view, uint16_t *port);

/* Whether a text is empty, or a host (RFC 3986 section 3.2.2), perhaps with a port. */
bool target_is_host(const char *host);

#endif
