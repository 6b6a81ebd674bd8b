/*
 * profile_formats.c: the files that a profile can be written to, but for the page (profile_svg.c).
 *
 * Perfetto has no flame graphs for files in JSON. So the tree is drawn as slices, side by side as in a flame graph, in
 * one thread for each thing that coroutines do; a slice is as long as what it has taken.
 */
#include "ctl/profile_formats.h"

#include <stdbool.h>
#include <string.h>

void profile_write_json(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s; s++)
        if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if ((unsigned char)*s < ' ' || *s == 0x7f)
            fprintf(out, "\\u%04x", (unsigned char)*s);
        else
            fputc(*s, out);
    fputc('"', out);
}

/* ---- collapsed stacks ---- */

/* The callers of a node, up to the root. */
struct path {
    const struct path *above; /* NULL: it is of the root */
    const struct profile_node *node;
};

static void write_path(FILE *out, const struct path *path)
{
    if (path->above) {
        write_path(out, path->above);
        fputc(';', out);
    }
    fputs(path->node->name, out);
}

static void collapse_node(FILE *out, const struct path *above, const struct profile_node *node)
{
    struct path path = {above, node};

    if (node->self > 0) {
        write_path(out, &path);
        fprintf(out, " %lld\n", (long long)node->self);
    }
    for (size_t i = 0; i < node->count; i++)
        collapse_node(out, &path, node->children[i]);
}

void profile_write_collapsed(FILE *out, const struct profile_node *root)
{
    for (size_t i = 0; i < root->count; i++)
        collapse_node(out, NULL, root->children[i]);
}

/* ---- speedscope ---- */

/* What is written next, and the number of the next frame; each node is a frame. */
struct speedscope {
    FILE *out;
    const char *between;
    size_t frame;
    int64_t at;
};

static void list_frames(struct speedscope *s, const struct profile_node *node)
{
    fprintf(s->out, "%s{\"name\":", s->between);
    profile_write_json(s->out, node->name);
    fputc('}', s->out);
    s->between = ",\n";
    for (size_t i = 0; i < node->count; i++)
        list_frames(s, node->children[i]);
}

static void list_event(struct speedscope *s, const char *type, size_t frame)
{
    fprintf(s->out, "%s{\"type\":\"%s\",\"frame\":%zu,\"at\":%lld}", s->between, type, frame, (long long)s->at);
    s->between = ",\n";
}

static void list_events(struct speedscope *s, const struct profile_node *node)
{
    size_t frame = s->frame++;

    list_event(s, "O", frame);
    for (size_t i = 0; i < node->count; i++)
        list_events(s, node->children[i]);
    s->at += node->self;
    list_event(s, "C", frame);
}

/* What coroutines do is a profile each. */
void profile_write_speedscope(FILE *out, const struct profile_node *root)
{
    struct speedscope s = {.out = out, .between = ""};

    fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"syncless-ctl\",\n"
          "\"shared\":{\"frames\":[\n",
          out);
    for (size_t i = 0; i < root->count; i++)
        list_frames(&s, root->children[i]);
    fputs("]},\n\"profiles\":[", out);
    for (size_t i = 0; i < root->count; i++) {
        fprintf(out, "%s\n{\"type\":\"evented\",\"name\":", i ? "," : "");
        profile_write_json(out, root->children[i]->name);
        fprintf(out, ",\"unit\":\"microseconds\",\"startValue\":0,\"endValue\":%lld,\"events\":[\n",
                (long long)root->children[i]->total);
        s.at = 0;
        s.between = "";
        list_events(&s, root->children[i]);
        fputs("]}", out);
    }
    fputs("]}\n", out);
}

/* ---- Perfetto ---- */

static void write_slices(FILE *out, const struct profile_node *node, size_t thread, int64_t at)
{
    fprintf(out, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%zu,\"ts\":%lld,\"dur\":%lld,\"name\":", thread, (long long)at,
            (long long)node->total);
    profile_write_json(out, node->name);
    fputc('}', out);
    for (size_t i = 0; i < node->count; i++) {
        write_slices(out, node->children[i], thread, at);
        at += node->children[i]->total;
    }
}

void profile_write_perfetto(FILE *out, const struct profile_node *root)
{
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
          "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"syncless\"}}",
          out);
    for (size_t i = 0; i < root->count; i++) {
        fprintf(out, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%zu,\"name\":\"thread_name\",\"args\":{\"name\":", i + 1);
        profile_write_json(out, root->children[i]->name);
        fputs("}}", out);
        write_slices(out, root->children[i], i + 1, 0);
    }
    fputs("\n]}\n", out);
}
