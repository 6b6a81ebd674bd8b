/*
 * cmdline.c: the command line.
 *
 * Options that set something are added to the configuration as if they stood in the file, so there is one place that
 * checks values and reports what is wrong with them. getopt knows the options that are ours alone. It reports the long
 * ones that it does not know, and these are looked up among those of other servers (synonym.c), so that no name of
 * theirs shadows an abbreviation of ours. All usage errors are reported, as those of a file are.
 */
#include "main/cmdline.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "conf/conf.h"
#include "conf/nearest.h"
#include "main/program_error.h"
#include "main/subject.h"
#include "settings/names.h"

#define OPTION_PRINT_CONFIG 256 /* options without a letter */
#define OPTION_CHECK_CONFIG 257
#define OPTION_MIGRATE      258
#define OPTION_TO           259

static const char usage_text[] =
    "usage: syncless-server MODULE:APP [-b ADDRESS] [-w N] [options]\n"
    "       syncless-server -c FILE [options]\n"
    "\n"
    "  MODULE:APP, FILE.py:APP serve a WSGI application at /, without a file; also a factory, MODULE:APP()\n"
    "  -c, --config FILE       read the configuration from FILE\n"
    "  -m, --app MODULE:APP    the application, as an option\n"
    "  -b, --bind ADDRESS      listen on HOST:PORT, :PORT, [IPV6]:PORT or unix:/path; repeat for more\n"
    "  -w, --workers N         start N worker processes; auto: one for each CPU\n"
    "  --reload                reload when a file in the working directory changes\n"
    "  --max-requests N        and so any key of [server], [log] and [limits]; options of gunicorn, uvicorn and uWSGI\n"
    "                          work too where they mean the same, and else say what to write\n"
    "  -o SECTION.KEY=VALUE    set any key, replacing what the file says; repeat for more\n"
    "  -d, --daemonize         run in the background: return when the workers are ready\n"
    "  -F, --foreground        stay in the foreground, whatever the file says\n"
    "  -s, --signal SIGNAL     signal the running server (found by its pidfile): reload, reopen, stop, quit or "
    "upgrade;\n"
    "                          reload waits, and its exit code says whether that has succeeded\n"
    "  --to PID                with -s: the server to signal, by the pid of its master\n"
    "  -t, --check             check the configuration and exit; --check=app loads the applications too\n"
    "  -T, --dump-config       show the configuration with all defaults and exit\n"
    "  --migrate FILE          convert a uwsgi.ini or gunicorn.conf.py: write it as an ini file and exit\n"
    "  -v, --version           show the version and the Python, and exit; -V also shows what it was built from\n"
    "  -h, --help              show this help and exit\n"
    "\n"
    "Exit codes: 0 stopped as requested, 1 failure at run time, 2 usage error, 3 workers cannot start, 4 application\n"
    "cannot be loaded, 78 bad configuration.\n";

static const struct {
    const char *name;
    int signum;
} signals[] = {{"reload", SIGHUP}, {"reopen", SIGUSR1}, {"stop", SIGTERM}, {"quit", SIGQUIT}, {"upgrade", SIGUSR2}};

__attribute__((format(printf, 1, 2))) static enum cmdline_result usage_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    program_error(fmt, ap);
    va_end(ap);
    return CMDLINE_WRONG;
}

/* Those that are ours. */
static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"app", required_argument, NULL, 'm'},
    {"bind", required_argument, NULL, 'b'},
    {"check", optional_argument, NULL, 't'},
    {"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
    {"dump-config", no_argument, NULL, 'T'},
    {"print-config", no_argument, NULL, OPTION_PRINT_CONFIG},
    {"daemonize", no_argument, NULL, 'd'},
    {"foreground", no_argument, NULL, 'F'},
    {"signal", required_argument, NULL, 's'},
    {"to", required_argument, NULL, OPTION_TO},
    {"migrate", required_argument, NULL, OPTION_MIGRATE},
    {"version", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool is_number(const char *s)
{
    return *s && !s[strspn(s, "0123456789")];
}

/* ---- our own options ---- */

static enum cmdline_result add_option(struct command *cmd, const struct command_option *o)
{
    if (cmd->option_count == CMDLINE_MAX_OPTIONS)
        return usage_error("more than %d options that set something: write them into a file", CMDLINE_MAX_OPTIONS);
    cmd->options[cmd->option_count++] = *o;
    return CMDLINE_OK;
}

static enum cmdline_result add_bind(struct command *cmd, const char *address)
{
    return add_option(cmd, &(struct command_option){"-b", address, {"server", "bind", PEER_TEXT, PEER_SAME, ""}});
}

static enum cmdline_result add_assignment(struct command *cmd, const char *assignment)
{
    return add_option(cmd, &(struct command_option){.name = "-o", .value = assignment});
}

/* o->name is the option that names the application, "" if none does. */
static enum cmdline_result set_app(struct command *cmd, const struct command_option *o)
{
    if (cmd->app.value)
        return usage_error("two applications, %s and %s: write a file with a section for each, and name it with -c",
                           cmd->app.value, o->value);
    cmd->app = *o;
    return CMDLINE_OK;
}

static enum cmdline_result set_app_by_letter(struct command *cmd, const char *app)
{
    if (is_number(app))
        return usage_error("-m %s: -m names the application, MODULE:APP; a umask is --umask %s", app, app);
    return set_app(cmd, &(struct command_option){.name = "-m", .value = app});
}

static enum cmdline_result set_config(struct command *cmd, const char *file)
{
    char text[1024];

    if (cmd->file)
        return usage_error("two configurations, %s and %s: write \"include = %s\" into the first", cmd->file, file,
                           file);
    if (subject_check_config(file, text, sizeof(text)))
        return usage_error("-c %s: %s", file, text);
    cmd->file = file;
    return CMDLINE_OK;
}

static enum cmdline_result set_signal(struct command *cmd, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (!strcmp(signals[i].name, name)) {
            cmd->signum = signals[i].signum;
            return CMDLINE_OK;
        }
    return usage_error("-s %s: expected reload, reopen, stop, quit or upgrade%s", name,
                       strpbrk(name, "/:") ? "; an address to listen on is -b ADDRESS" : "");
}

static enum cmdline_result set_to(struct command *cmd, const char *pid)
{
    if (!is_number(pid) || strlen(pid) > 9 || atoi(pid) == 0)
        return usage_error("--to %s: expected the pid of a server", pid);
    cmd->to = atoi(pid);
    return CMDLINE_OK;
}

static enum cmdline_result set_check(struct command *cmd, const char *what)
{
    cmd->check = true;
    cmd->check_app = what;
    if (what && strcmp(what, "app"))
        return usage_error("--check=%s: expected --check or --check=app", what);
    return CMDLINE_OK;
}

static enum cmdline_result apply_option(struct command *cmd, int c, const char *value)
{
    switch (c) {
    case 'c':
        return set_config(cmd, value);
    case 'm':
        return set_app_by_letter(cmd, value);
    case 'b':
        return add_bind(cmd, value);
    case 'o':
        return add_assignment(cmd, value);
    case 'd':
    case 'F':
        cmd->daemonize = c == 'd';
        return CMDLINE_OK;
    case 's':
        return set_signal(cmd, value);
    case OPTION_TO:
        return set_to(cmd, value);
    case 't':
        return set_check(cmd, value);
    case OPTION_CHECK_CONFIG: /* gunicorn's, which loads the application */
        return set_check(cmd, "app");
    case 'T':
    case OPTION_PRINT_CONFIG:
        cmd->dump = true;
        return CMDLINE_OK;
    case OPTION_MIGRATE:
        cmd->migrate = value;
        return CMDLINE_OK;
    case 'v':
    case 'V':
        cmd->version = true;
        cmd->version_details = c == 'V';
        return CMDLINE_OK;
    default:
        fputs(usage_text, stdout);
        return CMDLINE_DONE;
    }
}

/* ---- options of other servers ---- */

/* Add an option that was found, or say why not. */
static enum cmdline_result add_synonym(struct command *cmd, const struct command_option *o)
{
    char text[1024];

    if (o->is.relation == PEER_SAME && (o->is.kind == PEER_APP || o->is.kind == PEER_FILE))
        return set_app(cmd, o);
    if (o->is.relation == PEER_SAME)
        return add_option(cmd, o);
    synonym_explain(o, text, sizeof(text));
    return usage_error("%s", text);
}

/* size is that of the word without a value. */
static enum cmdline_result unknown_option(const char *word, size_t size)
{
    struct conf_nearest near = {.wrong = strndupa(word + 2, size)};

    for (const struct option *o = long_options; o->name; o++)
        conf_nearest_try(&near, o->name);
    settings_nearest_option(&near);
    peers_nearest(&near);
    return near.name ? usage_error("unknown option %s; did you mean --%s?", word, near.name)
                     : usage_error("unknown option %s", word);
}

/* A long option that getopt does not know. Its value may be the next of argv. */
static enum cmdline_result apply_long(struct command *cmd, int argc, char **argv, const char *word)
{
    size_t size = strcspn(word + 2, "=");
    struct command_option o = {.name = word, .value = word[2 + size] ? word + 3 + size : NULL};

    if (!synonym_find(&o.is, word + 2, size))
        return unknown_option(word, size);
    if (o.value && !synonym_takes_value(&o.is))
        return usage_error("%s: %.*s takes no value", word, (int)size + 2, word);
    if (!o.value && synonym_takes_value(&o.is)) {
        if (optind == argc)
            return usage_error("%s needs a value", word);
        o.value = argv[optind++];
    }
    return add_synonym(cmd, &o);
}

static const struct synonym_letter *find_letter(int c)
{
    for (const struct synonym_letter *l = synonym_letters; *l->option; l++)
        if (l->option[1] == c)
            return l;
    return NULL;
}

static enum cmdline_result apply_letter(struct command *cmd, const struct synonym_letter *l, const char *value)
{
    struct command_option o = {.name = l->option, .value = value};

    if (!l->name)
        return usage_error("%s has several meanings: %s", l->option, l->says);
    if (!strcmp(l->name, "workers") && !is_number(value) && strcmp(value, "auto"))
        return usage_error("-w %s: -w is the number of workers; name the application without an option", value);
    synonym_find(&o.is, l->name, strlen(l->name));
    return add_synonym(cmd, &o);
}

/* ---- the line as a whole ---- */

/* Letters as getopt takes them: ours, then those of other servers. */
static const char *all_letters(void)
{
    static char letters[100] = ":c:m:b:o:s:dFtTvVh";
    char *end = strchr(letters, 'h') + 1;

    for (const struct synonym_letter *l = synonym_letters; *l->option; l++) {
        struct synonym s = {.kind = PEER_TEXT};

        if (l->name)
            synonym_find(&s, l->name, strlen(l->name));
        *end++ = l->option[1];
        if (synonym_takes_value(&s))
            *end++ = ':';
    }
    *end = '\0';
    return letters;
}

/* An option that getopt cannot take: c is ':' for one without its value, '?' for the others. */
static enum cmdline_result apply_unknown(struct command *cmd, int c, int argc, char **argv)
{
    const char *word = argv[optind - 1]; /* not that of a letter, if more letters follow in its word */

    if (c == ':')
        return strncmp(word, "--", 2) ? usage_error("-%c needs a value", optopt)
                                      : usage_error("%s needs a value", word);
    if (!optopt)
        return apply_long(cmd, argc, argv, word);
    if (optopt < OPTION_PRINT_CONFIG && !strchr(all_letters(), optopt))
        return usage_error("unknown option -%c", optopt);
    return usage_error("%s: it takes no value%s", word, optopt == 'd' ? "; the log is named by --error-log FILE" : "");
}

/* An argument that belongs to no option. */
static enum cmdline_result apply_argument(struct command *cmd, const char *word)
{
    char text[1024];

    if (cmd->check && is_number(word))
        return usage_error("-t %s: -t is --check and takes no value; write --request-timeout %s for the time that a "
                           "request may take",
                           word, word);
    if (cmd->check && !cmd->check_app && !strcmp(word, "app"))
        return usage_error("--check app: write --check=app");
    switch (subject_of(word, text, sizeof(text))) {
    case SUBJECT_CONFIG:
        return set_config(cmd, word);
    case SUBJECT_APP:
        if (cmd->file && !strpbrk(word, ":./"))
            return usage_error("unexpected argument \"%s\": remove it, or write its option in front of it", word);
        return set_app(cmd, &(struct command_option){.name = "", .value = word});
    default:
        return usage_error("%s: %s", word, text);
    }
}

/* What is wrong once all arguments were applied. */
static enum cmdline_result check_command(const struct command *cmd)
{
    if (cmd->to && !cmd->signum)
        return usage_error("--to %d: write -s SIGNAL too", (int)cmd->to);
    if (!cmd->file && !cmd->app.value && !cmd->migrate && !cmd->version && !cmd->to)
        return usage_error("name an application, MODULE:APP, or a configuration, -c FILE");
    return CMDLINE_OK;
}

/* Parse the options. Returns CMDLINE_DONE at one that ends the program, else goes on to the last. */
static enum cmdline_result parse_options(struct command *cmd, int argc, char **argv)
{
    const char *letters = all_letters();
    enum cmdline_result result = CMDLINE_OK, last = CMDLINE_OK;
    int c;

    while (last != CMDLINE_DONE && (c = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        const struct synonym_letter *letter = find_letter(c);

        if (c == '?' || c == ':')
            last = apply_unknown(cmd, c, argc, argv);
        else
            last = letter ? apply_letter(cmd, letter, optarg) : apply_option(cmd, c, optarg);
        if (last != CMDLINE_OK)
            result = last;
    }
    return result;
}

enum cmdline_result command_parse(struct command *cmd, int argc, char **argv)
{
    enum cmdline_result result;

    *cmd = (struct command){.argv = argv, .daemonize = -1};
    opterr = 0;
    result = parse_options(cmd, argc, argv);
    for (char **word = &argv[optind]; result == CMDLINE_OK && *word; word++)
        result = apply_argument(cmd, *word);
    if (result == CMDLINE_OK)
        result = check_command(cmd);
    if (result == CMDLINE_WRONG)
        fputs("Try 'syncless-server --help'.\n", stderr);
    return result;
}

/* ---- the configuration ---- */

/* Mount the application at /. It can be imported from the working directory: without a file that is its chdir. */
static void configure_app(const struct command *cmd, struct conf *conf)
{
    const char *origin = synonym_origin(&cmd->app, conf);

    conf_set_key(conf, origin, "wsgi /", "app", synonyms_app(&cmd->app, cmd->options, cmd->option_count, conf));
    if (cmd->file && !synonyms_value(cmd->options, cmd->option_count, PEER_PATH, "chdir"))
        conf_set_key(conf, origin, "wsgi", "pythonpath", ".");
}

void command_configure(const struct command *cmd, struct conf *conf)
{
    if (cmd->file)
        conf_read(conf, cmd->file);
    if (cmd->daemonize >= 0)
        conf_set_key(conf, cmd->daemonize ? "-d" : "-F", "server", "daemonize", cmd->daemonize ? "yes" : "no");
    synonyms_set(cmd->options, cmd->option_count, conf);
    if (cmd->app.value)
        configure_app(cmd, conf);
}
