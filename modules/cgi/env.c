/*
 * env.c: the environment of a script, RFC 3875 section 4.1.
 *
 * Of the server's own environment only PATH and what `pass-env` names is passed on. Then follow the variables that
 * describe the request, its fields as HTTP_*, and `env` of the configuration, which overrides all others.
 *
 * Scripts expect more than the RFC has, namely what Apache's mod_cgi sets: SCRIPT_FILENAME and REDIRECT_STATUS (php-cgi
 * does not run without them), DOCUMENT_ROOT, REQUEST_URI, REQUEST_SCHEME, HTTPS, REMOTE_PORT and SERVER_ADDR.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cgi.h"

/* At least as many variables as PATH, env_server and env_request set. */
#define MAX_META 32

struct env {
    struct sl_request *req;
    char **vars; /* ended by NULL: zeroed at first */
};

/* Fields that do not become HTTP_*: those with a variable of their own, those of the connection, and Proxy, since
 * HTTP_PROXY would redirect the script's own requests (httpoxy, CVE-2016-5385). */
static const char *const withheld[] = {
    "Connection", "Content-Length",     "Content-Type",     "Keep-Alive",
    "Proxy",      "Proxy-Authenticate", "Proxy-Connection", "TE",
    "Trailer",    "Transfer-Encoding",  "Upgrade",          "Proxy-Authorization",
};

/* Returns where the variable of that name is, or else the final NULL. */
static char **env_place(struct env *env, const char *name, size_t size)
{
    char **var = env->vars;

    while (*var && (strncmp(*var, name, size) || (*var)[size] != '='))
        var++;
    return var;
}

/* The same among the variables before end; end if there is none. */
static char **env_place_before(char **vars, char **end, const char *name, size_t size)
{
    while (vars < end && (strncmp(*vars, name, size) || (*vars)[size] != '='))
        vars++;
    return vars;
}

/* Set a variable, replacing an earlier one of that name. */
static void env_set(struct env *env, const char *name, const char *value)
{
    *env_place(env, name, strlen(name)) = sl_printf(env->req, "%s=%s", name, value);
}

static void env_set_number(struct env *env, const char *name, long long value)
{
    env_set(env, name, sl_printf(env->req, "%lld", value));
}

/* Pass on a variable of the server's environment; otherwise is its value if the server has none, NULL to leave it out.
 */
static void env_pass(struct env *env, const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    if (value || otherwise)
        env_set(env, name, value ? value : otherwise);
}

static void env_server_name(struct env *env)
{
    struct sl_request *req = env->req;
    uint16_t port;
    size_t size = sl_host(req, &port);

    if (size)
        env_set(env, "SERVER_NAME", sl_printf(req, "%.*s", (int)size, req->host));
    else if (!req->server_port)
        env_set(env, "SERVER_NAME", "localhost");
    else
        env_set(env, "SERVER_NAME", sl_printf(req, strchr(req->server, ':') ? "[%s]" : "%s", req->server));
    env_set_number(env, "SERVER_PORT", req->server_port ? req->server_port : port);
}

static void env_server(struct env *env, const struct cgi *cgi)
{
    struct sl_request *req = env->req;

    env_set(env, "GATEWAY_INTERFACE", "CGI/1.1");
    env_set(env, "SERVER_SOFTWARE", "syncless-server");
    env_set(env, "SERVER_PROTOCOL", req->http_minor ? "HTTP/1.1" : "HTTP/1.0");
    env_server_name(env);
    env_set(env, "REMOTE_ADDR", req->peer);
    env_set(env, "REMOTE_HOST", req->peer);
    if (req->server_port)
        env_set(env, "SERVER_ADDR", req->server);
    if (req->peer_port)
        env_set_number(env, "REMOTE_PORT", req->peer_port);
    if (req->user)
        env_set(env, "REMOTE_USER", req->user);
    env_set(env, "REQUEST_SCHEME", req->scheme);
    if (!strcmp(req->scheme, "https"))
        env_set(env, "HTTPS", "on");
    env_set(env, "DOCUMENT_ROOT", cgi->dir);
    env_set(env, "REDIRECT_STATUS", "200");
}

static void env_request(struct env *env, const struct cgi *cgi, const struct script *script)
{
    struct sl_request *req = env->req;
    const char *type = sl_find(req, "Content-Type");

    env_set(env, "REQUEST_METHOD", req->method);
    env_set(env, "REQUEST_URI", req->target);
    env_set(env, "QUERY_STRING", req->query);
    env_set(env, "SCRIPT_NAME", script->name);
    env_set(env, "SCRIPT_FILENAME", script->file);
    if (*script->info) {
        env_set(env, "PATH_INFO", script->info);
        env_set(env, "PATH_TRANSLATED", sl_printf(req, "%s%s", cgi->dir, script->info));
    }
    if (type)
        env_set(env, "CONTENT_TYPE", type);
    if (req->length > 0 || sl_find(req, "Content-Length"))
        env_set_number(env, "CONTENT_LENGTH", req->length);
}

/* Whether a field becomes a variable. One whose name has other characters than letters, digits and hyphens does not: a
 * client's X_User would look like the X-User that a proxy in front sets. */
static bool is_passed_on(const struct cgi *cgi, const struct sl_field *field)
{
    for (uint32_t i = 0; i < field->name_size; i++)
        if (!isalnum((unsigned char)field->name[i]) && field->name[i] != '-')
            return false;
    for (size_t i = 0; i < sizeof(withheld) / sizeof(*withheld); i++)
        if (!strcasecmp(field->name, withheld[i]))
            return false;
    return cgi->pass_authorization || strcasecmp(field->name, "Authorization");
}

/* By name, then in the order of the request. */
static int compare_fields(const void *a, const void *b)
{
    const struct sl_field *left = *(const struct sl_field *const *)a, *right = *(const struct sl_field *const *)b;
    int order = strcasecmp(left->name, right->name);

    return order ? order : left < right ? -1 : 1;
}

/* Returns the fields that become variables, sorted, and their number. */
static const struct sl_field **sort_fields(const struct env *env, const struct cgi *cgi, size_t *count)
{
    const struct sl_request *req = env->req;
    const struct sl_field **sorted = sl_alloc(env->req, (req->field_count + 1) * sizeof(struct sl_field *));

    *count = 0;
    for (size_t i = 0; i < req->field_count; i++)
        if (is_passed_on(cgi, &req->fields[i]))
            sorted[(*count)++] = &req->fields[i];
    qsort(sorted, *count, sizeof(struct sl_field *), compare_fields);
    return sorted;
}

/* Returns HTTP_NAME=VALUE for the fields of one name, which are joined as RFC 9110 section 5.3 says, cookies by their
 * own rule. */
static char *join_values(struct env *env, const struct sl_field *const *fields, size_t count)
{
    const char *separator = strcasecmp(fields[0]->name, "Cookie") ? ", " : "; ";
    size_t size = sizeof("HTTP_=") + fields[0]->name_size;
    char *var, *at;

    for (size_t i = 0; i < count; i++)
        size += fields[i]->value_size + 2;
    var = sl_alloc(env->req, size);
    at = stpcpy(var, "HTTP_");
    for (const char *s = fields[0]->name; *s; s++)
        *at++ = *s == '-' ? '_' : (char)toupper((unsigned char)*s);
    *at++ = '=';
    for (size_t i = 0; i < count; i++)
        at = mempcpy(mempcpy(at, separator, i > 0 ? 2 : 0), fields[i]->value, fields[i]->value_size);
    *at = '\0';
    return var;
}

/* Set HTTP_NAME for all fields. Only those that were set before, by pass-env, may have the same name. */
static void env_fields(struct env *env, const struct cgi *cgi)
{
    char **end = env->vars, **before;
    size_t count, same;
    const struct sl_field **fields = sort_fields(env, cgi, &count);

    while (*end)
        end++;
    before = end;
    for (size_t i = 0; i < count; i += same) {
        char *var, **place;

        for (same = 1; i + same < count && !strcasecmp(fields[i]->name, fields[i + same]->name);)
            same++;
        var = join_values(env, &fields[i], same);
        place = env_place_before(env->vars, before, var, strcspn(var, "="));
        if (place == before)
            place = end++;
        *place = var;
    }
}

/* Set NAME=VALUE from the configuration. */
static void env_configured(struct env *env, const char *entry)
{
    *env_place(env, entry, strcspn(entry, "=")) = sl_printf(env->req, "%s", entry);
}

static size_t count_strings(const char *const *strings)
{
    size_t count = 0;

    while (strings && strings[count])
        count++;
    return count;
}

char **env_build(const struct cgi *cgi, struct sl_request *req, const struct script *script)
{
    size_t max = MAX_META + req->field_count + count_strings(cgi->env) + count_strings(cgi->pass_env);
    struct env env = {.req = req, .vars = sl_alloc(req, (max + 1) * sizeof(char *))};

    memset(env.vars, 0, (max + 1) * sizeof(char *));
    env_pass(&env, "PATH", "/usr/local/bin:/usr/bin:/bin");
    for (const char *const *s = cgi->pass_env; s && *s; s++)
        env_pass(&env, *s, NULL);
    env_server(&env, cgi);
    env_request(&env, cgi, script);
    env_fields(&env, cgi);
    for (const char *const *s = cgi->env; s && *s; s++)
        env_configured(&env, *s);
    return env.vars;
}
