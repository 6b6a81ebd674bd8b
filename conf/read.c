/*
 * read.c: ini files, read by inih, with a reader between the file and inih.
 *
 * inih splits keys from values and trims both. As Debian builds it, it also silently cuts lines at 199 bytes and
 * section names at 49, does not tell its handler the line number, reports no empty sections, and takes indented lines
 * for more values of the key above. So we are its ini_reader: next_piece counts lines, drops comments and indentation,
 * handles section lines itself, and passes a long line on in pieces, the first one as it is and the others as indented
 * lines, which on_pair joins again. Nothing is cut.
 */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/library.h"
#include "conf/internal.h"

#define INIH_CALLS(X) X(ini_parse_stream)
LIBRARY_DECLARE(inih, INIH_CALLS);
LIBRARY_DEFINE(inih, INIH_CALLS);

/* Put on both sides of a cut, where inih would strip blanks or see a comment. No line has this byte in it. */
#define GUARD "\x1f"

/* One open file. */
struct reader {
    struct conf *conf;
    const struct reader *parent; /* the file that includes this one, or NULL */
    FILE *in;
    struct stat stat; /* identifies the file; zero for a stream */
    struct conf_place place;
    const char *here;
    int rank;
    struct conf_section *section; /* NULL before the first */

    char *line; /* the current line, getline's */
    size_t capacity;
    const char *rest; /* of the current line: not yet passed to inih; "": none */
    bool passed;      /* a piece of the current line was passed to inih */
    const char *key;  /* what inih made of the current line; NULL until on_pair is called */
    char *value, *value_end;
};

static void read_include(struct reader *r, struct conf_entry *entry);

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- lines ---- */

/* Cut off the comment, which begins with a ; after a blank. */
static void cut_comment(char *s)
{
    for (char *p = s; (p = strchr(p, ';')); p++)
        if (p > s && is_blank(p[-1])) {
            *p = '\0';
            return;
        }
}

/* Returns the line without byte order mark, indentation, comment, and trailing blanks. */
static char *strip_line(struct reader *r)
{
    char *s = r->line, *end;

    if (r->place.line == 1 && !strncmp(s, "\xef\xbb\xbf", 3))
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
    return *s;
}

static void open_section(struct reader *r, const char *line)
{
    const char *start = line + 1 + strspn(line + 1, " \t"), *end = strrchr(line, ']');

    if (!end || end[1]) {
        conf_error(r->conf, r->place, "expected [SECTION] and nothing after it, found %s", line);
        r->section = conf_section_lost(r->conf);
        return;
    }
    while (end > start && is_blank(end[-1]))
        end--;
    start = end < start ? end : start;
    r->section = conf_section_open(r->conf, arena_strndup(&r->conf->arena, start, end - start), r->place, r->here);
}

/* Go to the next line with a key, opening the sections in between. Returns false at the end of the file. */
static bool next_key_line(struct reader *r)
{
    ssize_t size;

    while ((size = getline(&r->line, &r->capacity, r->in)) >= 0) {
        char *s;

        r->place.line++;
        if (strlen(r->line) != (size_t)size) {
            conf_error(r->conf, r->place, "NUL byte: this is not a text file, the rest is not read");
            return false;
        }
        s = strip_line(r);
        if (has_control_bytes(s)) {
            conf_error(r->conf, r->place, "the line has a control character in it; remove it");
        } else if (*s == '[') {
            open_section(r, s);
        } else if (*s) {
            r->rest = s;
            r->passed = false;
            r->key = NULL;
            return true;
        }
    }
    if (ferror(r->in))
        conf_error(r->conf, r->place, "read error: %s", strerror(errno));
    return false;
}

/* ---- between inih and us ---- */

/* The ini_reader. Writes the next piece for inih, at most capacity - 1 bytes, always with a line feed at its end. */
static char *next_piece(char *buf, int capacity, void *arg)
{
    struct reader *r = arg;
    const char *before = " " GUARD;
    size_t size = capacity - sizeof(" " GUARD GUARD "\n");

    if (r->passed && !r->key) {
        conf_error(r->conf, r->place, "expected KEY = VALUE or [SECTION]");
        r->rest = "";
    }
    if (!*r->rest) {
        if (!next_key_line(r))
            return NULL;
        before = "";
    }
    size = strnlen(r->rest, size);
    snprintf(buf, capacity, "%s%.*s%s\n", before, (int)size, r->rest, r->rest[size] ? GUARD : "");
    r->rest += size;
    r->passed = true;
    return buf;
}

static void finish_pair(struct reader *r)
{
    struct conf_entry entry = {.key = r->key,
                               .value = r->value + strspn(r->value, " \t"),
                               .here = r->here,
                               .place = r->place,
                               .rank = r->rank};

    if (!conf_is_key(r->key))
        conf_error(r->conf, r->place, "expected KEY = VALUE, found \"%s\" as the key", r->key);
    else if (!strcmp(r->key, "include"))
        read_include(r, &entry);
    else if (!r->section)
        conf_error(r->conf, r->place, "\"%s\" comes before the first section; write [%s] above it", r->key,
                   r->conf->own_titles[0]);
    else
        conf_entry_add(r->conf, r->section, entry);
}

/* The ini_handler. The first piece of a line has its key, and each piece a part of its value. */
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
        finish_pair(r);
    return 1;
}

static void read_stream(struct reader *r, const char *name)
{
    r->place.file = arena_printf(&r->conf->arena, "%s", name);
    r->here = conf_path_here(r->conf, name);
    r->rest = "";
    r->rank = r->parent ? r->parent->rank + 1 : 1;
    inih.ini_parse_stream(next_piece, r, on_pair, r); /* its result tells less than the errors recorded by us */
    free(r->line);
}

void conf_read_stream(struct conf *c, FILE *in, const char *name)
{
    read_stream(&(struct reader){.conf = c, .in = in}, name);
}

/* ---- files and includes ---- */

static bool is_being_read(const struct reader *r, const struct stat *st)
{
    for (; r; r = r->parent)
        if (r->stat.st_ino == st->st_ino && r->stat.st_dev == st->st_dev)
            return true;
    return false;
}

/* Note that the configuration depends on the file. */
static void note_file(struct conf *c, const char *path)
{
    const char **more;

    more = arena_alloc(&c->arena, (c->file_count + 2) * sizeof(*more));
    for (size_t i = 0; i < c->file_count; i++)
        more[i] = c->files[i];
    more[c->file_count++] =
        arena_printf(&c->arena, "%s%s%s", *path == '/' ? "" : c->cwd, *path == '/' ? "" : "/", path);
    more[c->file_count] = NULL;
    c->files = more;
}

/* place is that of the include; the first file has none. */
static void read_ini_file(struct conf *c, const char *path, const struct reader *parent, struct conf_place place)
{
    struct reader r = {.conf = c, .parent = parent};

    if (parent && !stat(path, &r.stat) && !S_ISREG(r.stat.st_mode)) { /* reading a pipe or a device may never end */
        conf_error(c, place, "cannot include %s: not a regular file", path);
        return;
    }
    note_file(c, path);
    r.in = fopen(path, "re");
    if (!r.in || fstat(fileno(r.in), &r.stat) < 0)
        conf_error(c, place, "cannot read %s: %s", path, strerror(errno));
    else if (is_being_read(parent, &r.stat))
        conf_error(c, place, "%s includes itself, directly or through other files", path);
    else
        read_stream(&r, path);
    if (r.in)
        fclose(r.in);
}

void conf_read(struct conf *c, const char *path)
{
    read_ini_file(c, path, NULL, (struct conf_place){0});
}

/* Returns the directory of a file as a pattern for glob(3), with its special characters escaped. */
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
        read_ini_file(r->conf, found.gl_pathv[i], r, r->place);
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
        read_ini_file(r->conf, conf_path_join(r->conf, dir, pattern), r, r->place);
}
