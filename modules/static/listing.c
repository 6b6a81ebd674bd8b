/*
 * listing.c: the contents of a folder as an HTML page, folders first, then by name.
 *
 * A folder may have very many entries, and each takes a stat and a formatted line. So the whole page is made on a
 * thread of the pool, in memory from malloc, since the request's memory belongs to the event loop's thread. Regular
 * files, folders and symbolic links are listed. Of a link only the name is shown: the client may not be allowed to know
 * what it leads to.
 */
#include "listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"
#include "reply.h"

struct listing_entry {
    char *name;
    struct stat st;
};

struct listing {
    const struct sl_request *req;
    int fd; /* the folder; closed once it has been read */
    bool hidden;
    struct listing_entry *entries;
    size_t count, capacity;
    char *page; /* the result, to be freed */
    size_t page_size;
};

/* Add an entry of the folder, if it is to be shown. One that has been removed meanwhile is no error. */
static int listing_add(struct listing *listing, const char *name)
{
    struct stat st;

    if (!strcmp(name, ".") || !strcmp(name, "..") || (name[0] == '.' && !listing->hidden))
        return 0;
    if (fstatat(listing->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return 0;
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity ? 2 * listing->capacity : 64;
        listing->entries = sl_must(reallocarray(listing->entries, listing->capacity, sizeof(*listing->entries)));
    }
    listing->entries[listing->count++] = (struct listing_entry){sl_must(strdup(name)), st};
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const struct listing_entry *left = a, *right = b;
    bool left_folder = S_ISDIR(left->st.st_mode), right_folder = S_ISDIR(right->st.st_mode);

    return left_folder != right_folder ? right_folder - left_folder : strcmp(left->name, right->name);
}

static int listing_read(struct listing *listing)
{
    DIR *dir = fdopendir(listing->fd);
    struct dirent *entry;
    int err = 0;

    if (!dir) {
        err = -errno;
        close(listing->fd);
        return err;
    }
    while (err == 0 && (errno = 0, entry = readdir(dir)))
        err = listing_add(listing, entry->d_name);
    if (err == 0)
        err = -errno;
    closedir(dir);
    if (listing->count)
        qsort(listing->entries, listing->count, sizeof(*listing->entries), compare_entries);
    return err;
}

static void print_as_html(FILE *out, const char *text)
{
    char *escaped = sl_must(malloc(ESCAPE_HTML_GROWTH * strlen(text) + 1));

    fputs(escape_html(escaped, text), out);
    free(escaped);
}

static void print_as_url(FILE *out, const char *path)
{
    char *escaped = sl_must(malloc(ESCAPE_URL_GROWTH * strlen(path) + 1));

    fputs(escape_url(escaped, path), out);
    free(escaped);
}

static void listing_print_entry(FILE *out, const struct listing_entry *entry)
{
    const char *slash = S_ISDIR(entry->st.st_mode) ? "/" : "";
    char when[32] = "", size[32] = "";
    struct tm tm;

    if (!S_ISLNK(entry->st.st_mode) && gmtime_r(&entry->st.st_mtim.tv_sec, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
    if (S_ISREG(entry->st.st_mode))
        snprintf(size, sizeof(size), "%jd", (intmax_t)entry->st.st_size);
    fputs("<tr><td><a href=\"", out);
    print_as_url(out, entry->name);
    fprintf(out, "%s\">", slash);
    print_as_html(out, entry->name);
    fprintf(out, "%s</a></td><td>%s</td><td>%s</td></tr>\n", slash, when, size);
}

static void listing_print_title(FILE *out, const struct sl_request *req)
{
    fputs("Index of ", out);
    print_as_html(out, req->mount);
    print_as_html(out, req->path);
}

static void listing_print(FILE *out, const struct listing *listing)
{
    const char *below_root = listing->req->path + strspn(listing->req->path, "/");

    fputs("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>", out);
    listing_print_title(out, listing->req);
    fputs("</title>\n<style>td { padding-right: 2em } td:last-child { text-align: right }</style></head>\n<body><h1>",
          out);
    listing_print_title(out, listing->req);
    fputs("</h1>\n<table>\n", out);
    if (*below_root)
        fputs("<tr><td><a href=\"../\">../</a></td></tr>\n", out);
    for (size_t i = 0; i < listing->count; i++)
        listing_print_entry(out, &listing->entries[i]);
    fputs("</table></body></html>\n", out);
}

/* Read the folder and make the page, on a thread of the pool. 0 or -errno. */
static int listing_make(void *arg)
{
    struct listing *listing = arg;
    int err = listing_read(listing);

    if (err == 0) {
        FILE *out = sl_must(open_memstream(&listing->page, &listing->page_size));
        bool failed;

        listing_print(out, listing);
        failed = ferror(out);
        if (fclose(out) || failed)
            err = -ENOMEM;
    }
    for (size_t i = 0; i < listing->count; i++)
        free(listing->entries[i].name);
    free(listing->entries);
    return err;
}

int listing_send(const struct site *site, struct sl_request *req, int fd)
{
    struct listing listing = {.req = req, .fd = fd, .hidden = site->hidden};
    int err = sl_offload(listing_make, &listing);
    int result = 500;

    if (err) {
        sl_log(req, SL_ERROR, "static: cannot list %s%s: %s (errno %d)", site->folder, req->path, strerror(-err), -err);
    } else {
        reply_add_fields(site, req);
        result = sl_reply(req, 200, "text/html; charset=utf-8", listing.page, listing.page_size);
    }
    free(listing.page);
    return result;
}
