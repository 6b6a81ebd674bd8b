/*
 * auth.c: asks for a name and a password (HTTP Basic, RFC 7617) in front of other sections. README.md says how to run
 * it.
 *
 * The filter is asked about each request below the prefix of its section, whichever section serves it, and runs before
 * that. It answers with 401, or lets the request pass and says whose it is. It is plain blocking code as every handler:
 * a wrong password costs a second by sleep(3), and the other requests go on.
 *
 * Clients send "NAME:PASSWORD" in base64. It is the configured users that are encoded, once, and then compared with
 * what the client has sent, so that nothing of a client's needs to be decoded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "syncless.h"

struct user {
    char *name;
    char *credentials; /* "NAME:PASSWORD" in base64 */
};

struct auth {
    const char *realm;
    const char *const *users;

    struct user *known; /* ended by a row without a name; owned, made by start */
};

static const struct sl_option options[] = {
    SL_OPTION("realm", SL_STRING, struct auth, realm, .default_value = "restricted",
              .help = "What the browser shows when it asks for the password."),
    SL_OPTION("user", SL_STRINGS, struct auth, users, .help = "NAME:PASSWORD of somebody who may pass.",
              .flags = SL_REQUIRED),
    {.name = NULL},
};

/* Returns text in base64, RFC 4648 section 4, to be freed. */
static char *base64_encode(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = strlen(text);
    char *encoded = sl_must(malloc((size + 2) / 3 * 4 + 1)), *at = encoded;

    for (size_t i = 0; i < size; i += 3) {
        unsigned char a = text[i], b = i + 1 < size ? text[i + 1] : 0, c = i + 2 < size ? text[i + 2] : 0;

        *at++ = digits[a >> 2];
        *at++ = digits[(a & 3) << 4 | b >> 4];
        *at++ = i + 1 < size ? digits[(b & 15) << 2 | c >> 6] : '=';
        *at++ = i + 2 < size ? digits[c & 63] : '=';
    }
    *at = '\0';
    return encoded;
}

static int auth_start(void *self)
{
    struct auth *auth = self;
    size_t count = 0;

    while (auth->users[count])
        count++;
    auth->known = sl_must(calloc(count + 1, sizeof(*auth->known)));
    for (size_t i = 0; i < count; i++) {
        const char *colon = strchr(auth->users[i], ':');

        if (!colon || colon == auth->users[i]) {
            sl_log(NULL, SL_ERROR, "auth: user number %zu is not NAME:PASSWORD", i + 1);
            return -EINVAL;
        }
        auth->known[i].name = sl_must(strndup(auth->users[i], colon - auth->users[i]));
        auth->known[i].credentials = base64_encode(auth->users[i]);
    }
    return 0;
}

static void auth_stop(void *self)
{
    struct auth *auth = self;

    for (struct user *user = auth->known; user->name; user++) {
        free(user->name);
        free(user->credentials);
    }
    free(auth->known);
}

/* Compare in a time that does not tell how much of it is right. */
static bool is_same_secret(const char *a, const char *b)
{
    size_t size = strlen(a);
    unsigned char difference = 0;

    if (strlen(b) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

/* The user whose credentials the field Authorization has, or NULL. */
static const struct user *find_authorized_user(const struct auth *auth, const char *field)
{
    if (strncasecmp(field, "Basic ", 6))
        return NULL;
    field += 6 + strspn(field + 6, " ");
    for (const struct user *user = auth->known; user->name; user++)
        if (is_same_secret(user->credentials, field))
            return user;
    return NULL;
}

static int auth_filter(void *self, struct sl_request *req)
{
    const struct auth *auth = self;
    const char *field = sl_find(req, "Authorization");
    const struct user *user = field ? find_authorized_user(auth, field) : NULL;

    if (user)
        return sl_set_user(req, user->name) ? 500 : SL_PASS;
    if (field) {
        sl_log(req, SL_WARN, "auth: wrong name or password from %s", req->peer);
        sleep(1);
    }
    sl_header(req, "WWW-Authenticate", sl_printf(req, "Basic realm=\"%s\", charset=\"UTF-8\"", auth->realm));
    return 401;
}

const struct sl_module sl_module = {
    .abi = SL_ABI,
    .name = "auth",
    .size = sizeof(struct auth),
    .options = options,
    .start = auth_start,
    .filter = auth_filter,
    .stop = auth_stop,
};
