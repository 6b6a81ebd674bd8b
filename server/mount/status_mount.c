/*
 * status_mount.c: the section [status PREFIX]: what the server tells of itself over HTTP.
 *
 * The worker that gets the request asks the master, which asks all workers; so the answer is about the whole server,
 * and the same that syncless-ctl gets. Probes (/live, /ready) are answered by the worker itself: what they ask is
 * whether it can serve. Requests here take no permit, so they are answered when the server is full.
 *
 * Who is not in an allowed network sees what it would see without the section: 404.
 */
#include "mount/status_mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/array.h"
#include "conf/options.h"
#include "http/response/response.h"
#include "inside/health.h"
#include "inside/question.h"
#include "inside/running.h"
#include "mount/status_action.h"
#include "mount/status_page.h"

#define BASIC  "Basic "
#define CANCEL "/cancel/"

/* Who may look at something. */
struct status_networks {
    const struct network *list; /* owned by the configuration */
    size_t count;
    bool has_unix;
};

struct status_mount {
    const char *const *allow, *const *allow_probes, *const *allow_cancel; /* as the file has it; NULL: not given */
    const char *const *auth;                                              /* NAME:PASSWORD; NULL: none */
    struct status_networks allowed, probing, cancelling;
    const char *const *credentials; /* auth in base64, ended by NULL; NULL: none */
};

int (*status_ask_master)(const char *line, struct text *out);

static const struct sl_option status_options[] = {
    SL_OPTION("allow", SL_STRINGS, struct status_mount, allow,
              .help = "Addresses and networks that may look at everything, unix for Unix sockets; repeat for more."),
    SL_OPTION("allow-probes", SL_STRINGS, struct status_mount, allow_probes,
              .help = "The same for /live and /ready; by default this host: 127.0.0.0/8, ::1 and unix."),
    SL_OPTION("allow-cancel", SL_STRINGS, struct status_mount, allow_cancel,
              .help = "Which of those in allow may also cancel requests; by default nobody."),
    SL_OPTION("auth", SL_STRINGS, struct status_mount, auth, .flags = SL_SECRET,
              .help = "NAME:PASSWORD that is asked for as Basic authentication, but not of probes; repeat for more."),
    {.name = NULL},
};

/* ---- settings ---- */

static size_t count_texts(const char *const *texts)
{
    size_t count = 0;

    while (texts && texts[count])
        count++;
    return count;
}

/* texts: the values of the key. */
static void fill_status_networks(struct status_networks *n, struct conf *c, const struct conf_section *section,
                                 const char *key, const char *const *texts)
{
    struct network *list = arena_alloc(&c->arena, (count_texts(texts) + 1) * sizeof(*list));

    for (size_t i = 0; texts && texts[i]; i++) {
        const char *why;

        if (!strcmp(texts[i], "unix"))
            n->has_unix = true;
        else if ((why = network_parse(&list[n->count], texts[i])))
            conf_value_error(c, section, key, i, "%s, or unix", why);
        else
            n->count++;
    }
    n->list = list;
}

static const char *encode_base64(struct arena *arena, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = strlen(text);
    char *encoded = arena_alloc(arena, 4 * (size + 2) / 3 + 5), *to = encoded;

    for (size_t i = 0; i < size; i += 3) {
        const unsigned char *at = (const unsigned char *)text + i;
        unsigned bits = (unsigned)at[0] << 16 | (i + 1 < size ? at[1] : 0U) << 8 | (i + 2 < size ? at[2] : 0U);

        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = i + 1 < size ? digits[bits >> 6 & 63] : '=';
        *to++ = i + 2 < size ? digits[bits & 63] : '=';
    }
    *to = '\0';
    return encoded;
}

static void fill_auth(struct status_mount *m, struct conf *c, const struct conf_section *section)
{
    const char **credentials;

    if (!m->auth)
        return;
    credentials = arena_alloc(&c->arena, (count_texts(m->auth) + 1) * sizeof(*credentials));
    for (size_t i = 0; m->auth[i]; i++) {
        if (!strchr(m->auth[i], ':') || m->auth[i][0] == ':' || m->auth[i][strlen(m->auth[i]) - 1] == ':')
            conf_value_error(c, section, "auth", i, "expected NAME:PASSWORD");
        credentials[i] = encode_base64(&c->arena, m->auth[i]);
        credentials[i + 1] = NULL;
    }
    m->credentials = credentials;
}

void status_mount_fill(struct conf *c, const struct conf_section *section, void *instance)
{
    static const char *const local[] = {"127.0.0.0/8", "::1", "unix", NULL};
    struct status_mount *m = instance;

    fill_status_networks(&m->allowed, c, section, "allow", m->allow);
    fill_status_networks(&m->probing, c, section, "allow-probes", m->allow_probes ? m->allow_probes : local);
    fill_status_networks(&m->cancelling, c, section, "allow-cancel", m->allow_cancel);
    fill_auth(m, c, section);
}

bool status_is_mounted(const struct mount *mounts)
{
    for (; mounts; mounts = mounts->next)
        if (mounts->module.handle == status_module.handle)
            return true;
    return false;
}

bool status_lets_cancel(const struct mount *mounts)
{
    for (; mounts; mounts = mounts->next) {
        const struct status_mount *m = mounts->self;

        if (mounts->module.handle == status_module.handle && (m->cancelling.count || m->cancelling.has_unix))
            return true;
    }
    return false;
}

/* ---- who may look ---- */

static bool networks_have(const struct status_networks *n, const struct sl_request *req)
{
    struct in6_addr ip;
    uint16_t port;

    if (!*req->peer)
        return n->has_unix;
    if (!address_parse_peer(&ip, &port, req->peer, strlen(req->peer)))
        return false;
    for (size_t i = 0; i < n->count; i++)
        if (network_has(&n->list[i], &ip))
            return true;
    return false;
}

static bool is_allowed(const struct status_mount *m, const struct sl_request *req, bool is_probe)
{
    return networks_have(&m->allowed, req) || (is_probe && networks_have(&m->probing, req));
}

/* Takes as long for a wrong text as for a right one of the same size. */
static bool is_same_secret(const char *a, const char *b)
{
    size_t size = strlen(a);
    unsigned char differ = strlen(b) != size;

    for (size_t i = 0; i < size && b[i]; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return !differ;
}

static bool is_authenticated(const struct status_mount *m, const struct sl_request *req)
{
    const char *given = sl_find(req, "Authorization");
    bool found = false;

    if (!m->credentials)
        return true;
    if (!given || strncasecmp(given, BASIC, strlen(BASIC)))
        return false;
    given += strlen(BASIC);
    given += strspn(given, " ");
    for (size_t i = 0; m->credentials[i]; i++)
        found |= is_same_secret(m->credentials[i], given);
    return found;
}

/* ---- answers ---- */

static int status_reply(struct request *req, int status, const char *type, const char *body, size_t size)
{
    response_header(req, "Cache-Control", 13, "no-store", 8);
    response_header(req, "X-Content-Type-Options", 22, "nosniff", 7);
    response_header(req, "Cross-Origin-Resource-Policy", 28, "same-origin", 11);
    return response_reply(req, status, type, body, size);
}

static int reply_health(struct request *req, const char *trouble)
{
    const char *text = trouble ? arena_printf(&req->arena, "%s\n", trouble) : "ok\n";

    return status_reply(req, trouble ? 503 : 200, "text/plain; charset=utf-8", text, strlen(text));
}

/* Whether the master says that there is no such request. */
static bool is_failure(const struct text *answer)
{
    static const char failure[] = "{\"version\":1,\"error\":";

    return answer->size >= sizeof(failure) - 1 && !memcmp(answer->buf, failure, sizeof(failure) - 1);
}

static int reply_question(struct request *req, const char *line, const char *type)
{
    struct text answer = {0};
    int err = status_ask_master ? status_ask_master(line, &answer) : -ENOTCONN;

    if (err)
        err = reply_health(req, "the master does not answer");
    else
        err = status_reply(req, is_failure(&answer) ? 404 : 200, type, answer.buf, answer.size);
    free(answer.buf);
    return err;
}

/* Whoever scrapes says whether it knows OpenMetrics. */
static int reply_metrics(struct request *req)
{
    const char *accept = sl_find(&req->view, "Accept");

    response_header(req, "Vary", 4, "Accept", 6);
    if (accept && strstr(accept, "application/openmetrics-text"))
        return reply_question(req, "metrics", "application/openmetrics-text; version=1.0.0; charset=utf-8");
    return reply_question(req, "metrics plain", "text/plain; version=0.0.4; charset=utf-8");
}

static int ask_for_login(struct request *req)
{
    static const char challenge[] = "Basic realm=\"syncless\", charset=\"UTF-8\"";

    response_header(req, "WWW-Authenticate", 16, challenge, sizeof(challenge) - 1);
    response_keep(req);
    return 401;
}

/* Returns the query as words of a question: "?older=1s&limit=100" is " older 1s limit 100". */
static const char *words_of_query(struct request *req)
{
    char *words;

    if (!*req->view.query)
        return "";
    words = arena_printf(&req->arena, " %s", req->view.query);
    for (char *at = words; *at; at++)
        if (*at == '=' || *at == '&')
            *at = ' ';
    return words;
}

/* Returns the question that a path below the mount stands for; NULL: none. */
static const char *question_of_path(struct request *req, const char *path)
{
    static const char *const paths[] = {"/status", "/workers", "/requests", "/trace", "/about"};
    struct question q;

    if (!*path || !strcmp(path, "/"))
        path = "/status";
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (!strcmp(path, paths[i]))
            return arena_printf(&req->arena, "json %s%s", path + 1, words_of_query(req));
    if (strncmp(path, "/trace/", 7) || !question_parse_id(path + 7, &q.pid, &q.number))
        return NULL;
    return arena_printf(&req->arena, "json trace %s", path + 7);
}

static int reply_json_message(struct request *req, int status, const char *name, const char *message)
{
    const char *text = arena_printf(&req->arena, "{\"version\":%d,\"%s\":\"%s\"}\n", INSIDE_VERSION, name, message);

    return status_reply(req, status, "application/json", text, strlen(text));
}

/* POST /cancel/ID. */
static int status_cancel(const struct status_mount *m, struct request *req)
{
    const char *id = req->view.path + strlen(CANCEL), *why = status_action_refusal(&req->view, m->credentials);
    struct question q;

    if (!networks_have(&m->cancelling, &req->view))
        why = "allow-cancel of [status] does not name this client";
    if (why)
        return reply_json_message(req, 403, "error", why);
    if (!question_parse_id(id, &q.pid, &q.number))
        return reply_json_message(req, 404, "error", "there is no such request");
    request_log(req, LOG_LEVEL_INFO, "cancels request %s", id);
    return reply_question(req, arena_printf(&req->arena, "json cancel %s", id), "application/json");
}

static int refuse_method(struct request *req, const char *allowed)
{
    response_header(req, "Allow", 5, allowed, strlen(allowed));
    response_keep(req);
    return 405;
}

static int status_look(const struct status_mount *m, struct request *req)
{
    const char *path = req->view.path, *question = question_of_path(req, path), *why;
    struct question q;

    if ((!*path || !strcmp(path, "/")) && status_page_is_wanted(&req->view))
        return status_page_reply(req, networks_have(&m->cancelling, &req->view));
    if (!question)
        return 404;
    why = question_parse(&q, question);
    return why ? reply_json_message(req, 400, "error", "expected older=TIME, limit=N")
               : reply_question(req, question, "application/json");
}

/* The answer to one who may have it. */
static int status_answer(const struct status_mount *m, struct request *req, bool is_probe)
{
    const char *path = req->view.path, *method = req->view.method;
    bool is_cancel = !strncmp(path, CANCEL, strlen(CANCEL));

    if (is_cancel && strcmp(method, "POST"))
        return refuse_method(req, "POST");
    if (!is_cancel && strcmp(method, "GET") && strcmp(method, "HEAD"))
        return refuse_method(req, "GET, HEAD");
    if (is_probe)
        return reply_health(req, !strcmp(path, "/ready") ? health_trouble() : NULL);
    if (!is_authenticated(m, &req->view))
        return ask_for_login(req);
    if (!strcmp(path, "/metrics"))
        return reply_metrics(req);
    return is_cancel ? status_cancel(m, req) : status_look(m, req);
}

static int status_handle(void *self, struct sl_request *req)
{
    bool is_probe = !strcmp(req->path, "/live") || !strcmp(req->path, "/ready");

    return is_allowed(self, req, is_probe) ? status_answer(self, request_of(req), is_probe) : 404;
}

const struct sl_module status_module = {
    .abi = SL_ABI,
    .name = "status",
    .size = sizeof(struct status_mount),
    .options = status_options,
    .handle = status_handle,
};
