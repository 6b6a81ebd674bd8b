/*
 * subject.c: what an argument without an option names: a configuration or an application.
 *
 * As with gunicorn and uvicorn, a word alone is an application, MODULE:APP. But people also try the file that they have
 * before them: the ini file, a Python file, their project's directory, the configuration of the server that they used
 * before. The form of the word tells which it is; the file system is asked only for directories.
 */
#include "main/subject.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/array.h"

static bool has_ending(const char *name, size_t size, const char *ending)
{
    size_t length = strlen(ending);

    return size > length && !strncasecmp(name + size - length, ending, length);
}

static bool has_ending_of(const char *name, size_t size, const char *const *endings)
{
    for (; *endings; endings++)
        if (has_ending(name, size, *endings))
            return true;
    return false;
}

/* gunicorn.conf.py, gunicorn_config.py and the like, in any directory. */
static bool is_gunicorn_config(const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;

    return !strncasecmp(name, "gunicorn", 8) && has_ending(name, strlen(name), ".py");
}

const char *subject_check_config(const char *file, char *text, size_t size)
{
    static const char *const formats[] = {".yaml", ".yml", ".json", NULL};
    size_t length = strlen(file);

    if (!strncmp(file, "python:", 7) || !strncmp(file, "file:", 5) || has_ending(file, length, ".py"))
        snprintf(text, size, "a configuration is an ini file: \"syncless-server --migrate %s\" converts gunicorn's",
                 strncmp(file, "file:", 5) ? file : file + 5);
    else if (has_ending_of(file, length, formats))
        snprintf(text, size, "a configuration is an ini file: \"syncless-server --migrate %s\" converts uWSGI's", file);
    else if (has_ending(file, length, ".xml") || has_ending(file, length, ".toml"))
        snprintf(text, size, "a configuration is an ini file");
    else
        return NULL;
    return text;
}

/* Whether the path is that of a directory which cannot be imported as a package under that name. */
static bool is_project(const char *path)
{
    char init[4096];
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return false;
    snprintf(init, sizeof(init), "%s/__init__.py", path);
    return strchr(path, '/') || *path == '.' || stat(init, &st) < 0;
}

/* Find a file in a directory that is likely to have an application. Returns false if there is none. */
static bool find_application(const char *directory, char *path, size_t size)
{
    static const char *const names[] = {"*/wsgi.py", "wsgi.py", "app.py", "main.py", "*.wsgi"};
    int length = (int)strlen(directory);
    glob_t found = {0};
    bool is_found = false;

    while (length > 1 && directory[length - 1] == '/')
        length--;
    for (size_t i = 0; i < ARRAY_SIZE(names) && !is_found; i++) {
        snprintf(path, size, "%.*s/%s", length, directory, names[i]);
        if (!glob(path, 0, NULL, &found)) {
            snprintf(path, size, "%s", found.gl_pathv[0]);
            is_found = true;
        }
        globfree(&found);
    }
    return is_found;
}

static void advise_on_directory(const char *directory, char *text, size_t size)
{
    char path[4096];

    if (find_application(directory, path, sizeof(path)))
        snprintf(text, size, "it is a directory: name the application in it, such as %s", path);
    else
        snprintf(text, size, "it is a directory: name the application in it, MODULE:APP or FILE.py:APP");
}

static bool is_signal_name(const char *word)
{
    static const char *const names[] = {"reload", "reopen", "stop", "quit", "upgrade"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(names[i], word))
            return true;
    return false;
}

enum subject subject_of(const char *word, char *text, size_t size)
{
    static const char *const programs[] = {".py", ".wsgi", NULL};
    size_t length = strcspn(word, ":");

    if (has_ending(word, strlen(word), ".ini"))
        return SUBJECT_CONFIG;
    if (is_gunicorn_config(word))
        snprintf(text, size, "it is gunicorn's configuration: \"syncless-server --migrate %s\" converts it", word);
    else if (has_ending_of(word, length, programs))
        return SUBJECT_APP;
    else if (is_project(word))
        advise_on_directory(word, text, size);
    else if (is_signal_name(word))
        snprintf(text, size, "write -s %s to signal a running server", word);
    else if (subject_check_config(word, text, size))
        return SUBJECT_WRONG;
    else if (memchr(word, '/', length))
        snprintf(text, size, "write MODULE:APP or FILE.py:APP for an application, FILE.ini for a configuration");
    else
        return SUBJECT_APP;
    return SUBJECT_WRONG;
}
