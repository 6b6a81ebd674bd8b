/*
 * status_page.c: the page of [status], for browsers.
 *
 * It is one HTML file, which the Makefile puts together from server/page/ and page.S takes into the library. All that
 * it shows it fetches as JSON from this mount, so nothing of a request gets into the page itself. What is filled in is
 * a random number, which marks the script and the style that are ours: by Content-Security-Policy no others run, and
 * nothing is loaded from elsewhere.
 */
#include "mount/status_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"
#include "base/digits.h"
#include "base/text.h"
#include "http/response/response.h"

#define NONCE_SIZE 16 /* random bytes */

extern const char status_page_begin[], status_page_end[]; /* server/page/page.S */

bool status_page_is_wanted(const struct sl_request *req)
{
    const char *accept = sl_find(req, "Accept");

    return accept && strcasestr(accept, "text/html");
}

/* Put the page into out, with what stands for these names in it. */
static void fill_page(struct text *out, const char *const (*names)[2], size_t count)
{
    const char *at = status_page_begin;

    while (at < status_page_end) {
        const char *mark = memchr(at, '@', (size_t)(status_page_end - at));
        size_t i = 0;

        if (!mark)
            mark = status_page_end;
        text_add(out, at, (size_t)(mark - at));
        while (mark < status_page_end && i < count && strncmp(mark, names[i][0], strlen(names[i][0])))
            i++;
        at = mark;
        if (mark < status_page_end && i < count) {
            text_add(out, names[i][1], strlen(names[i][1]));
            at += strlen(names[i][0]);
        } else if (mark < status_page_end) {
            text_add(out, at++, 1);
        }
    }
}

static void set_page_fields(struct request *req, const char *nonce)
{
    const char *policy = arena_printf(
        &req->arena,
        "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'",
        nonce, nonce);
    const char *const fields[][2] = {{"Content-Security-Policy", policy},
                                     {"Cache-Control", "no-store"},
                                     {"Vary", "Accept"},
                                     {"X-Content-Type-Options", "nosniff"},
                                     {"X-Frame-Options", "DENY"},
                                     {"Referrer-Policy", "no-referrer"},
                                     {"Cross-Origin-Opener-Policy", "same-origin"},
                                     {"Cross-Origin-Resource-Policy", "same-origin"}};

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        response_header(req, fields[i][0], strlen(fields[i][0]), fields[i][1], strlen(fields[i][1]));
}

int status_page_reply(struct request *req, bool may_cancel)
{
    unsigned char random[NONCE_SIZE];
    char nonce[2 * NONCE_SIZE + 1];
    const char *const names[][2] = {{"@NONCE@", nonce}, {"@CANCEL@", may_cancel ? "yes" : "no"}};
    struct text page = {0};
    int err;

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -errno;
    digits_hex(nonce, random, sizeof(random));
    nonce[sizeof(nonce) - 1] = '\0';
    set_page_fields(req, nonce);
    fill_page(&page, names, ARRAY_SIZE(names));
    err = response_reply(req, 200, "text/html; charset=utf-8", page.buf, page.size);
    free(page.buf);
    return err;
}
