/*
 * path.c: paths of a configuration are relative to the file that names them, not to the working directory.
 *
 * Symbolic links are not resolved: %(here) in a file that is linked into sites-enabled/ is sites-enabled/, as the user
 * wrote it.
 */
#include <string.h>

#include "conf/internal.h"

const char *conf_path_join(struct conf *c, const char *dir, const char *path)
{
    size_t size = strlen(dir);

    if (*path == '/')
        return path;
    while (!strncmp(path, "./", 2))
        path += 2 + strspn(path + 2, "/");
    if (!*path || !strcmp(path, "."))
        return dir;
    return arena_printf(&c->arena, "%s%s%s", dir, size && dir[size - 1] != '/' ? "/" : "", path);
}

const char *conf_path_here(struct conf *c, const char *file)
{
    const char *slash = strrchr(file, '/');

    if (!slash)
        return c->cwd;
    if (slash == file)
        return "/";
    return conf_path_join(c, c->cwd, arena_strndup(&c->arena, file, slash - file));
}

const char *conf_value_path(struct conf *c, const struct conf_section *s, const char *key, const char *text)
{
    const struct conf_entry *e = conf_entry_first(s, key);

    return conf_path_join(c, e ? e->here : c->cwd, text);
}

const char *conf_unchecked_path(struct conf *c, const struct conf_section *s, const char *key)
{
    const struct conf_entry *e = conf_entry_first(s, key);

    return e && *e->value ? conf_path_join(c, e->here, e->value) : NULL;
}
