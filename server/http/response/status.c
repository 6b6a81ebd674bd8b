/*
 * status.c: status codes and their phrases.
 *
 * Indexed by class and number: the codes in use are dense within a class.
 */
#include "http/response/status.h"

#include <stddef.h>

#define PER_CLASS 52 /* numbers in a class, from 0 to the largest in use */

static const char *const phrases[5][PER_CLASS] = {
    {[0] = "Continue", "Switching Protocols", "Processing", "Early Hints"},
    {[0] = "OK",
     "Created",
     "Accepted",
     "Non-Authoritative Information",
     "No Content",
     "Reset Content",
     "Partial Content",
     "Multi-Status",
     "Already Reported",
     [26] = "IM Used"},
    {[0] = "Multiple Choices",
     "Moved Permanently",
     "Found",
     "See Other",
     "Not Modified",
     "Use Proxy",
     [7] = "Temporary Redirect",
     "Permanent Redirect"},
    {[0] = "Bad Request",
     "Unauthorized",
     "Payment Required",
     "Forbidden",
     "Not Found",
     "Method Not Allowed",
     "Not Acceptable",
     "Proxy Authentication Required",
     "Request Timeout",
     "Conflict",
     "Gone",
     "Length Required",
     "Precondition Failed",
     "Content Too Large",
     "URI Too Long",
     "Unsupported Media Type",
     "Range Not Satisfiable",
     "Expectation Failed",
     [21] = "Misdirected Request",
     "Unprocessable Content",
     "Locked",
     "Failed Dependency",
     "Too Early",
     "Upgrade Required",
     [28] = "Precondition Required",
     "Too Many Requests",
     [31] = "Request Header Fields Too Large",
     [51] = "Unavailable For Legal Reasons"},
    {[0] = "Internal Server Error",
     "Not Implemented",
     "Bad Gateway",
     "Service Unavailable",
     "Gateway Timeout",
     "HTTP Version Not Supported",
     "Variant Also Negotiates",
     "Insufficient Storage",
     "Loop Detected",
     [11] = "Network Authentication Required"},
};

const char *status_phrase(int status)
{
    int class = status / 100, number = status % 100;

    if (class < 1 || class > 5 || number >= PER_CLASS || !phrases[class - 1][number])
        return "Unknown";
    return phrases[class - 1][number];
}
