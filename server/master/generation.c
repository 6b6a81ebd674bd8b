/*
 * generation.c: a configuration that was read, with everything that was made from it.
 *
 * During a reload the old generation stays in use, since its workers still run and the new one may be bad. Shared
 * objects of modules stay loaded as long as the master lives; new versions need a new binary (SIGUSR2).
 */
#include "master/generation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "base/exit_code.h"
#include "base/mem.h"
#include "log/log.h"
#include "log/log_program.h"
#include "log/sink.h"
#include "process/channel.h"
#include "process/sandbox/sandbox.h"
#include "settings/access_rule.h"
#include "worker/worker_log.h"

/* Collect the targets of all access logs. */
static void find_access_logs(struct generation *g)
{
    static const char *const none[] = {NULL};

    g->access_logs = settings_add_target(&g->conf->arena, none, g->settings.log.access);
    g->access_logs = settings_add_target(&g->conf->arena, g->access_logs, g->settings.log.slow);
    for (const struct mount *m = g->mounts; m; m = m->next)
        g->access_logs = settings_add_target(&g->conf->arena, g->access_logs, m->log);
}

struct generation *generation_load(configure_fn *configure, const struct command *cmd)
{
    struct generation *g = xcalloc(1, sizeof(*g));

    g->users = 1;
    g->conf = conf_new(settings_sections);
    configure(cmd, g->conf);
    settings_fill(&g->settings, g->conf);
    g->mounts = mounts_load(g->conf, &g->settings, &g->unhosted);
    find_access_logs(g);
    sandbox_prepare(&g->settings.process, g->conf, g->mounts);
    if (!g->mounts && !g->unhosted && !g->conf->error_count)
        conf_error(g->conf, (struct conf_place){0}, "nothing to serve: add a section such as [static /] or [wsgi /]");
    return g;
}

static void log_open_failed(const char *what, const char *target, int err)
{
    log_error("cannot open the %s log %s: %s%s", what, target, strerror(-err),
              err == -ELOOP ? ": root follows symbolic links of root only" : "");
}

int generation_open_logs(const struct generation *g)
{
    const struct log_settings *log = &g->settings.log;
    const char *failed = log->error_log;
    int err;

    log_programs_unused();
    err = log_open(log->error_log);
    log_init((enum log_level)log->level, 0);
    if (err)
        log_open_failed("error", failed, err);
    else if ((err = access_open(g->access_logs, &failed)))
        log_open_failed("access", failed, err);
    if (err)
        return err;
    access_set_default(log->access);
    log_programs_close_unused();
    return 0;
}

static void reopen_log(enum channel_kind kind, int number, const char *target, int channel)
{
    struct channel_message message = {kind, number, sink_open_file(target)};
    int err;

    if (message.fd < 0)
        return;
    if (channel < 0) {
        worker_log_reopen(&message);
        return;
    }
    err = channel_send(channel, &message);
    if (err)
        log_warn("cannot pass the reopened log file %s to a worker, which keeps the old one: %s", target,
                 strerror(-err));
    close(message.fd);
}

void generation_reopen_logs(const struct generation *g, int channel)
{
    reopen_log(CHANNEL_ERROR_LOG, 0, g->settings.log.error_log, channel);
    for (int n = 0; g->access_logs[n]; n++)
        reopen_log(CHANNEL_ACCESS_LOG, n, g->access_logs[n], channel);
}

int generation_dump(const struct generation *g, FILE *out)
{
    settings_dump(g->conf, out);
    for (const struct mount *m = g->mounts; m; m = m->next)
        settings_dump_mount(g->conf, m->title, m->module.options, m->module.handle, out);
    return fflush(out) ? EXIT_RUNTIME : EXIT_STOPPED;
}

void generation_hold(struct generation *g)
{
    g->users++;
}

void generation_drop(struct generation *g)
{
    if (--g->users > 0)
        return;
    listen_release(&g->sockets);
    conf_free(g->conf);
    free(g);
}
