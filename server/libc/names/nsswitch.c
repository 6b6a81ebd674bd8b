/*
 * nsswitch.c: from where libc takes names, by nsswitch.conf.
 *
 * Files are read at once. Any other source may ask a daemon (sss, ldap, systemd, winbind), which may be slow or hang,
 * and so may nscd, whom libc asks first if its socket exists.
 */
#include "libc/names/nsswitch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libc/names/text_file.h"
#include "log/log.h"

#define NSCD_SOCKET "/var/run/nscd/socket"

static const char *path = "/etc/nsswitch.conf";
static struct text_file file;

void nsswitch_use(const char *other)
{
    path = other ? other : "/etc/nsswitch.conf";
}

/* Whether the line `hosts:` says "files dns", which is the default of most systems. */
static bool is_files_dns(const char *line)
{
    char first[16], second[16], more[16];

    return text_next_word(&line, first, sizeof(first)) && text_next_word(&line, second, sizeof(second)) &&
           !text_next_word(&line, more, sizeof(more)) && !strcmp(first, "files") && !strcmp(second, "dns");
}

bool nsswitch_hosts_are_plain(void)
{
    static unsigned seen; /* the version that yes is about */
    static bool yes;

    text_file_refresh(&file, path);
    if (seen == file.version)
        return yes;
    seen = file.version;
    yes = file.text[0] == '\0'; /* without the file, libc's default comes to the same */
    for (const char *line = file.text; line; line = text_next_line(line))
        if (!strncmp(line, "hosts:", 6))
            yes = is_files_dns(line + 6);
    if (!yes)
        log_info("%s: hosts is not \"files dns\": host names are resolved by libc, on threads", path);
    return yes;
}

/* Whether a line says "NAME: files" and no more. */
static bool names_files_only(const char *line)
{
    char word[32], more[32];

    return text_next_word(&line, word, sizeof(word)) && !strcmp(word, "files") &&
           !text_next_word(&line, more, sizeof(more));
}

bool nsswitch_is_local(const char *database)
{
    size_t size = strlen(database);

    if (access(NSCD_SOCKET, F_OK) == 0)
        return false;
    text_file_refresh(&file, path);
    for (const char *line = file.text; line; line = text_next_line(line))
        if (!strncmp(line, database, size) && line[size] == ':')
            return names_files_only(line + size + 1);
    return true; /* libc's default */
}
