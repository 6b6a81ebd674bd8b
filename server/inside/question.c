/*
 * question.c: what an operator asks of a running server, as a line of text.
 *
 * The master reads it to know what to do, and passes the line on to the workers, which read it again: so there is one
 * form for the control socket, the channel between the processes, and people with socat.
 */
#include "inside/question.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "conf/options.h"
#include "log/log.h"

#define MAX_WORDS 6

struct words {
    char text[QUESTION_SIZE];
    const char *list[MAX_WORDS + 1]; /* ended by NULL */
    size_t count;
};

#define MAX_RATE 1000 /* of a profile */

static const char no_id[] = "expected the ID of a request, such as 4711.12: \"requests\" shows them";

bool question_parse_id(const char *text, pid_t *pid, uint64_t *number)
{
    char *dot, *end;
    long value = strtol(text, &dot, 10);

    if (*text < '1' || *text > '9' || *dot != '.' || dot[1] < '1' || dot[1] > '9' || value > INT32_MAX)
        return false;
    errno = 0;
    *pid = (pid_t)value;
    *number = strtoull(dot + 1, &end, 10);
    return !*end && !errno;
}

/* ---- arguments; each function returns NULL or what is wrong ---- */

static const char *take_none(struct question *q, const char *const *args)
{
    return *args ? "this command takes no argument" : NULL;
}

/* The words of a filter come in pairs: the next one is read. */
static const char *take_filter_pair(struct question *q, const char *name, const char *value)
{
    int64_t milliseconds = 0;
    char *end;

    if (!strcmp(name, "limit") && value) {
        long limit = strtol(value, &end, 10);

        q->limit = (size_t)limit;
        return limit > 0 && !*end && limit < INT32_MAX ? NULL : "expected \"limit N\", such as limit 100";
    }
    if (strcmp(name, "older") || !value || conf_value_duration(value, &milliseconds) || milliseconds < 0 ||
        milliseconds > INT64_MAX / 1000000)
        return "expected \"older TIME\", such as older 500ms, or \"limit N\"";
    q->older = milliseconds * 1000000;
    return NULL;
}

static const char *take_filter(struct question *q, const char *const *args)
{
    const char *why = NULL;

    for (; *args && !why; args += args[1] ? 2 : 1)
        why = take_filter_pair(q, args[0], args[1]);
    return why;
}

static const char *take_id(struct question *q, const char *const *args)
{
    return args[0] && !args[1] && question_parse_id(args[0], &q->pid, &q->number) ? NULL : no_id;
}

static const char *take_id_or_filter(struct question *q, const char *const *args)
{
    bool is_filter = !args[0] || !strcmp(args[0], "older") || !strcmp(args[0], "limit");

    return is_filter ? take_filter(q, args) : take_id(q, args);
}

static const char *take_worker(struct question *q, const char *const *args)
{
    char *end = "";
    long pid = args[0] ? strtol(args[0], &end, 10) : 0;

    if (*end || (args[0] && (args[1] || pid < 1 || pid > INT32_MAX)))
        return "expected nothing, or the pid of a worker: \"workers\" shows them";
    q->pid = (pid_t)pid;
    return NULL;
}

static const char *take_level(struct question *q, const char *const *args)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (size_t i = 0; args[0] && !args[1] && i < ARRAY_SIZE(names); i++)
        if (!strcmp(args[0], names[i])) {
            q->level = (int)i;
            return NULL;
        }
    return "expected error, warn, info or debug";
}

static const char *take_wait(struct question *q, const char *const *args)
{
    q->wait = args[0] && !strcmp(args[0], "wait");
    return !args[0] || (q->wait && !args[1]) ? NULL : "expected nothing or \"wait\"";
}

static const char *take_change(struct question *q, const char *const *args)
{
    char *end;
    long value;

    if (!args[0])
        return NULL;
    value = strtol(args[0], &end, 10);
    if (args[1] || !strchr("+-", *args[0]) || *end || value == 0 || value < -1024 || value > 1024)
        return "expected nothing, or how many more or fewer: +1, -1";
    q->what = ASK_CHANGE_WORKERS;
    q->change = (int)value;
    return NULL;
}

static const char *take_format(struct question *q, const char *const *args)
{
    q->plain = args[0] && !strcmp(args[0], "plain");
    return !args[0] || (q->plain && !args[1]) ? NULL : "expected nothing or \"plain\"";
}

static const char *take_profile(struct question *q, const char *const *args)
{
    char *end;
    long rate;

    if (!args[0] || !args[1] || (args[2] && args[3]))
        return "expected a number for the profile, its rate, and perhaps a prefix of targets";
    q->profile = strtoull(args[0], &end, 10);
    if (*end || !q->profile)
        return "the number of a profile is wrong";
    rate = strtol(args[1], &end, 10);
    if (*end || rate < 0 || rate > MAX_RATE)
        return "the rate of a profile is 1 to 1000 samples per second";
    q->rate = (int)rate;
    if (args[2] && strlen(args[2]) >= sizeof(q->prefix))
        return "the prefix of targets is too long";
    strcpy(q->prefix, args[2] ? args[2] : "");
    return NULL;
}

/* ---- commands ---- */

static const struct command_word {
    const char *name;
    enum ask what;
    const char *(*take)(struct question *q, const char *const *args);
} command_words[] = {
    /* clang-format off */
    {"ping", ASK_PING, take_none},
    {"status", ASK_STATUS, take_none},
    {"about", ASK_ABOUT, take_none},
    {"workers", ASK_WORKERS, take_change},
    {"requests", ASK_REQUESTS, take_filter},
    {"trace", ASK_TRACE, take_id_or_filter},
    {"cancel", ASK_CANCEL, take_id},
    {"console", ASK_CONSOLE, take_worker},
    {"debug", ASK_DEBUG, take_id},
    {"log", ASK_LOG, take_level},
    {"metrics", ASK_METRICS, take_format},
    {"reload", ASK_RELOAD, take_wait},
    {"reopen", ASK_REOPEN, take_none},
    {"drain", ASK_DRAIN, take_none},
    {"stop", ASK_STOP, take_none},
    {"ready", ASK_READY, take_none},
    {"record", ASK_RECORD, take_none},
    {"profile", ASK_PROFILE, take_profile},
    /* clang-format on */
};

static bool split_words(struct words *w, const char *line)
{
    char *rest = w->text, *word;

    *w = (struct words){.count = 0};
    if (strlen(line) >= sizeof(w->text))
        return false;
    strcpy(w->text, line);
    while ((word = strsep(&rest, " \r"))) {
        if (!*word)
            continue;
        if (w->count == MAX_WORDS)
            return false;
        w->list[w->count++] = word;
    }
    return w->count > 0;
}

const char *question_parse(struct question *q, const char *line)
{
    struct words w;
    const char *const *at = w.list;

    *q = (struct question){.what = ASK_PING, .json = !strncmp(line, "json", 4) && (!line[4] || line[4] == ' ')};
    if (!split_words(&w, line))
        return "expected a command with at most four arguments";
    if (q->json && !*++at)
        return "expected a command after \"json\"";
    for (size_t i = 0; i < ARRAY_SIZE(command_words); i++)
        if (!strcmp(command_words[i].name, *at)) {
            q->what = command_words[i].what;
            return command_words[i].take(q, at + 1);
        }
    return "there is no such command: expected ping, ready, status, about, workers, requests, trace, cancel, console, "
           "debug, record, profile, metrics, log, reload, reopen, drain or stop";
}
