/*
 * limits.c: the keys that every mount takes beside those of its module.
 *
 * They can be given in [limits] for all mounts, in [MODULE] for those of a module, and in each mount. Limits that apply
 * before it is known which mount a request is for are in http.c.
 */
#include "settings/limits.h"

#include "conf/options.h"

static const char *const disconnect_names[] = {"ignore", "cancel", NULL};

const struct sl_option mount_limits_options[] = {
    SL_OPTION("request-timeout", SL_DURATION, struct mount_limits, request_timeout, .default_value = "0",
              .help = "Time for a request; when it is over the handler is cancelled, and the answer is 504. 0: none."),
    SL_OPTION("on-disconnect", SL_CHOICE, struct mount_limits, on_disconnect, .default_value = "ignore",
              .choices = disconnect_names, .help = "When the client disconnects: go on, or cancel its request."),
    SL_OPTION("max-body-size", SL_SIZE, struct mount_limits, max_body_size, .default_value = "1g",
              .help = "Largest request body; a larger one is answered with 413. 0: any size."),
    {.name = NULL},
};

void settings_fill_mount(struct conf *c, struct conf_section *s, const struct sl_option *options, void *instance,
                         struct mount_limits *limits)
{
    static const struct sl_option none[] = {{.name = NULL}};
    struct conf_section *chain[] = {s, conf_section_find(c, s->name), conf_section_find(c, "limits")};
    const struct sl_option *tables[] = {options ? options : none, limits ? mount_limits_options : NULL, NULL};

    conf_check_section(c, s, tables);
    if (!s->prefix)
        return;
    conf_fill_options(c, chain, 2, options, instance);
    if (limits)
        conf_fill_options(c, chain, 3, mount_limits_options, limits);
}

void settings_dump_mount(struct conf *c, const char *title, const struct sl_option *options, bool has_limits, FILE *out)
{
    struct conf_section *s = conf_section_find(c, title);
    struct conf_section *chain[] = {s, conf_section_find(c, s->name), conf_section_find(c, "limits")};

    fprintf(out, "\n[%s]\n", title);
    conf_dump_options(c, chain, 2, options, out);
    if (has_limits)
        conf_dump_options(c, chain, 3, mount_limits_options, out);
}
