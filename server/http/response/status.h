/* status.h: status codes and their phrases, RFC 9110 section 15 and the IANA registry. */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

/* The client closed the connection before its response was sent. For the access log, as in nginx; never sent. */
#define STATUS_CLIENT_CLOSED_REQUEST 499

/* The standard phrase, or "Unknown". */
const char *status_phrase(int status);

#endif
