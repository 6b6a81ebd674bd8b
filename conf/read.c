/*
 * read.c: ini files, read by inih, with a reader between the file and inih.
 *
 * inih splits keys from values and trims both. As Debian builds it, it also cuts a line at 199 bytes and a section's
 * name at 49 without a word, gives its handler no line number, reports no empty section, and takes indented lines for
 * more values of the key above. So its ini_reader is ours: next_piece counts lines, drops comments and indentation,
 * keeps the section lines to itself and hands a long line on in pieces, the first as it stands and the rest as indented
 * lines, which on_pair puts together again. Nothing is cut.
 */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/internal.h"

/* Stands on both sides of a cut, where inih would strip blanks or see a comment. No line holds this byte. */
#define GUARD "\x1f"

/* One open file. */
struct reader {
    struct conf *conf;
    const struct reader *parent; /* the file that includes this one, or NULL */
    FILE *in;
    struct stat stat; /* tells the file from others; zero for a stream without one */
    struct conf_place place;
    const char *here;
    int rank;
    struct conf_section *section; /* NULL before the first */

    char *line; /* the current line, getline's */
    size_t room;
    const char *rest; /* of the current line, not yet handed to inih; "" none */
    bool handed;      /* a piece of the current line was */
    const char *key;  /* inih's answer: key and value of the current line; NULL until it comes */
    char *value, *value_end;
};

static void read_include(struct reader *r, struct conf_entry *entry);

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- lines ---- */

/* A comment begins at a ; after a blank. */
static void cut_comment(char *s)
{
    for (char *p = s; (p = strchr(p, ';')); p++)
        if (p > s && is_blank(p[-1])) {
            *p = '\0';
            return;
        }
}

/* The line without byte order mark, indentation, comment, blanks and line end behind it. */
static char *strip_line(struct reader *r)
{
    char *s = r->line, *end;

    if (r->place.line == 1 && strncmp(s, "\xef\xbb\xbf", 3) == 0)
        s += 3;
    s += strspn(s, " \t");
    cut_comment(s);
    end = s + strlen(s);
    while (end > s && strchr(" \t\r\n", end[-1]))
        *--end = '\0';
    return *s == '#' || *s == ';' ? end : s;
}

static bool has_control_bytes(const char *s)
{
    while (*s && (!iscntrl((unsigned char)*s) || *s == '\t'))
        s++;
    return *s != '\0';
}

static void open_section(struct reader *r, const char *line)
{
    const char *start = line + 1 + strspn(line + 1, " \t"), *end = strrchr(line, ']');

    if (!end || end[1]) {
        conf_error(r->conf, r->place, "expected [SECTION] and nothing behind it, found %s", line);
        r->section = conf_section_lost(r->conf);
        return;
    }
    while (end > start && is_blank(end[-1]))
        end--;
    start = end < start ? end : start;
    r->section = conf_section_open(r->conf, arena_strndup(&r->conf->arena, start, end - start), r->place, r->here);
}

/* Step to the next line with a key, seeing to the sections on the way. false at the end of the file. */
static bool next_line(struct reader *r)
{
    ssize_t size;

    while ((size = getline(&r->line, &r->room, r->in)) >= 0) {
        char *s;

        r->place.line++;
        if (strlen(r->line) != (size_t)size) {
            conf_error(r->conf, r->place, "a NUL byte: this is no text file, reading stops here");
            return false;
        }
        s = strip_line(r);
        if (has_control_bytes(s)) {
            conf_error(r->conf, r->place, "a control byte in the line; remove it");
        } else if (*s == '[') {
            open_section(r, s);
        } else if (*s) {
            r->rest = s;
            r->handed = false;
            r->key = NULL;
            return true;
        }
    }
    if (ferror(r->in))
        conf_error(r->conf, r->place, "cannot read on: %s", strerror(errno));
    return false;
}

/* ---- between inih and us ---- */

/* The ini_reader: the next piece for inih, at most room - 1 bytes, always ended by a line feed. */
static char *next_piece(char *buf, int room, void *arg)
{
    struct reader *r = arg;
    const char *before = " " GUARD;
    size_t size = room - sizeof(" " GUARD GUARD "\n");

    if (r->handed && !r->key) {
        conf_error(r->conf, r->place, "expected KEY = VALUE or [SECTION]");
        r->rest = "";
    }
    if (!*r->rest) {
        if (!next_line(r))
            return NULL;
        before = "";
    }
    size = strnlen(r->rest, size);
    snprintf(buf, room, "%s%.*s%s\n", before, (int)size, r->rest, r->rest[size] ? GUARD : "");
    r->rest += size;
    r->handed = true;
    return buf;
}

static void end_pair(struct reader *r)
{
    struct conf_entry entry = {.key = r->key,
                               .value = r->value + strspn(r->value, " \t"),
                               .here = r->here,
                               .place = r->place,
                               .rank = r->rank};

    if (!conf_is_key(r->key))
        conf_error(r->conf, r->place, "expected KEY = VALUE, found \"%s\" for a key", r->key);
    else if (strcmp(r->key, "include") == 0)
        read_include(r, &entry);
    else if (!r->section)
        conf_error(r->conf, r->place, "\"%s\" stands before the first section; write [server] above it", r->key);
    else
        conf_entry_add(r->conf, r->section, entry);
}

/* The ini_handler: the first piece of a line brings its key, each piece a part of its value. */
static int on_pair(void *arg, const char *section, const char *key, const char *value)
{
    struct reader *r = arg;

    if (!r->key) {
        r->key = arena_strndup(&r->conf->arena, key, strlen(key));
        r->value = r->value_end = arena_alloc(&r->conf->arena, strlen(value) + strlen(r->rest) + 1);
    }
    r->value_end = stpcpy(r->value_end, value + (*value == *GUARD));
    if (r->value_end > r->value && r->value_end[-1] == *GUARD)
        *--r->value_end = '\0';
    if (!*r->rest)
        end_pair(r);
    return 1;
}

static void run(struct reader *r, const char *name)
{
    r->place.file = arena_printf(&r->conf->arena, "%s", name);
    r->here = conf_path_here(r->conf, name);
    r->rest = "";
    r->rank = r->parent ? r->parent->rank + 1 : 1;
    ini_parse_stream(next_piece, r, on_pair, r); /* its result says less than what we have noted */
    free(r->line);
}

void conf_read_stream(struct conf *c, FILE *in, const char *name)
{
    run(&(struct reader){.conf = c, .in = in}, name);
}

/* ---- files and includes ---- */

static bool is_open(const struct reader *r, const struct stat *st)
{
    for (; r; r = r->parent)
        if (r->stat.st_ino == st->st_ino && r->stat.st_dev == st->st_dev)
            return true;
    return false;
}

/* place is that of the include, and without file for the first one. */
static void read_file(struct conf *c, const char *path, const struct reader *parent, struct conf_place place)
{
    struct reader r = {.conf = c, .parent = parent};

    if (parent && stat(path, &r.stat) == 0 && !S_ISREG(r.stat.st_mode)) { /* to read a pipe or a device may never end */
        conf_error(c, place, "cannot include %s: it is no regular file", path);
        return;
    }
    r.in = fopen(path, "re");
    if (!r.in || fstat(fileno(r.in), &r.stat) < 0)
        conf_error(c, place, "cannot read %s: %s", path, strerror(errno));
    else if (is_open(parent, &r.stat))
        conf_error(c, place, "%s includes itself, directly or by way of others", path);
    else
        run(&r, path);
    if (r.in)
        fclose(r.in);
}

void conf_read(struct conf *c, const char *path)
{
    read_file(c, path, NULL, (struct conf_place){0});
}

/* The directory of a file as glob(3) needs it, its own special characters marked. */
static const char *glob_dir(struct conf *c, const char *file)
{
    const char *slash = strrchr(file, '/');
    size_t size = slash ? slash + 1 - file : 0;
    char *dir = arena_alloc(&c->arena, 2 * size + 1), *p = dir;

    for (size_t i = 0; i < size; i++) {
        if (strchr("*?[\\", file[i]))
            *p++ = '\\';
        *p++ = file[i];
    }
    *p = '\0';
    return dir;
}

static void read_glob(struct reader *r, const char *pattern)
{
    const char *path = conf_path_join(r->conf, glob_dir(r->conf, r->place.file), pattern);
    glob_t found = {0};
    int error = glob(path, GLOB_ERR, NULL, &found);

    if (error && error != GLOB_NOMATCH)
        conf_error(r->conf, r->place, "cannot include %s: %s", path, strerror(errno));
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_file(r->conf, found.gl_pathv[i], r, r->place);
    globfree(&found);
}

static void read_include(struct reader *r, struct conf_entry *entry)
{
    const char *pattern = conf_expand(r->conf, entry), *slash = strrchr(r->place.file, '/');
    const char *dir = slash ? arena_strndup(&r->conf->arena, r->place.file, slash + 1 - r->place.file) : "";

    if (entry->reported)
        return;
    if (!*pattern)
        conf_error(r->conf, r->place, "\"include\" needs a file, or a pattern such as conf.d/*.ini");
    else if (strpbrk(pattern, "*?["))
        read_glob(r, pattern);
    else
        read_file(r->conf, conf_path_join(r->conf, dir, pattern), r, r->place);
}
