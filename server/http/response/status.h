/* status.h: status codes and their phrases, RFC 9110 section 15 and the IANA registry. */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

/* The standard phrase, or "Unknown". */
const char *status_phrase(int status);

#endif
