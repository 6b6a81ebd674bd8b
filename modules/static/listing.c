/*
 * listing.c: the content of a folder as a page, folders first, then by name.
 *
 * A folder may have very many entries, each of which costs a stat and a line to format. So the whole page is made on a
 * thread of the pool, in memory of its own, since the request's is the worker's thread's. Listed is what can be asked
 * for: regular files, folders and symbolic links. Of a link only the name is shown: what it leads to may be none of the
 * client's business.
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

struct entry {
    char *name;
    struct stat st;
};

struct listing {
    const struct sl_request *req;
    int fd; /* the folder, closed when it was read */
    bool hidden;
    struct entry *entries;
    size_t count, room;
    char *page; /* what is made of them */
    size_t page_size;
};

/* Add what is to be shown of a folder's entry. One that is gone meanwhile is not an error. */
static int add_entry(struct listing *listing, const char *name)
{
    struct stat st;

    if (!strcmp(name, ".") || !strcmp(name, "..") || (name[0] == '.' && !listing->hidden))
        return 0;
    if (fstatat(listing->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return 0;
    if (listing->count == listing->room) {
        listing->room = listing->room ? 2 * listing->room : 64;
        listing->entries = sl_must(reallocarray(listing->entries, listing->room, sizeof(*listing->entries)));
    }
    listing->entries[listing->count++] = (struct entry){sl_must(strdup(name)), st};
    return 0;
}

static int order(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    bool left_folder = S_ISDIR(left->st.st_mode), right_folder = S_ISDIR(right->st.st_mode);

    return left_folder != right_folder ? right_folder - left_folder : strcmp(left->name, right->name);
}

static int read_folder(struct listing *listing)
{
    DIR *dir = fdopendir(listing->fd);
    struct dirent *entry;
    int rc = 0;

    if (!dir) {
        rc = -errno;
        close(listing->fd);
        return rc;
    }
    while (rc == 0 && (errno = 0, entry = readdir(dir)))
        rc = add_entry(listing, entry->d_name);
    if (rc == 0)
        rc = -errno;
    closedir(dir);
    if (listing->count)
        qsort(listing->entries, listing->count, sizeof(*listing->entries), order);
    return rc;
}

static void print_html(FILE *out, const char *text)
{
    char *escaped = sl_must(malloc(ESCAPE_HTML_GROWTH * strlen(text) + 1));

    fputs(escape_html(escaped, text), out);
    free(escaped);
}

static void print_url(FILE *out, const char *path)
{
    char *escaped = sl_must(malloc(ESCAPE_URL_GROWTH * strlen(path) + 1));

    fputs(escape_url(escaped, path), out);
    free(escaped);
}

static void print_entry(FILE *out, const struct entry *entry)
{
    const char *slash = S_ISDIR(entry->st.st_mode) ? "/" : "";
    char when[32] = "", size[32] = "";
    struct tm tm;

    if (!S_ISLNK(entry->st.st_mode) && gmtime_r(&entry->st.st_mtim.tv_sec, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
    if (S_ISREG(entry->st.st_mode))
        snprintf(size, sizeof(size), "%jd", (intmax_t)entry->st.st_size);
    fputs("<tr><td><a href=\"", out);
    print_url(out, entry->name);
    fprintf(out, "%s\">", slash);
    print_html(out, entry->name);
    fprintf(out, "%s</a></td><td>%s</td><td>%s</td></tr>\n", slash, when, size);
}

static void print_title(FILE *out, const struct sl_request *req)
{
    fputs("Index of ", out);
    print_html(out, req->mount);
    print_html(out, req->path);
}

static void print_page(FILE *out, const struct listing *listing)
{
    const char *below_root = listing->req->path + strspn(listing->req->path, "/");

    fputs("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>", out);
    print_title(out, listing->req);
    fputs("</title>\n<style>td { padding-right: 2em } td:last-child { text-align: right }</style></head>\n<body><h1>",
          out);
    print_title(out, listing->req);
    fputs("</h1>\n<table>\n", out);
    if (*below_root)
        fputs("<tr><td><a href=\"../\">../</a></td></tr>\n", out);
    for (size_t i = 0; i < listing->count; i++)
        print_entry(out, &listing->entries[i]);
    fputs("</table></body></html>\n", out);
}

/* On a thread of the pool. */
static int make_page(void *arg)
{
    struct listing *listing = arg;
    int rc = read_folder(listing);

    if (rc == 0) {
        FILE *out = sl_must(open_memstream(&listing->page, &listing->page_size));
        bool failed;

        print_page(out, listing);
        failed = ferror(out);
        if (fclose(out) || failed)
            rc = -ENOMEM;
    }
    for (size_t i = 0; i < listing->count; i++)
        free(listing->entries[i].name);
    free(listing->entries);
    return rc;
}

int listing_send(const struct site *site, struct sl_request *req, int fd)
{
    struct listing listing = {.req = req, .fd = fd, .hidden = site->hidden};
    int rc = sl_offload(make_page, &listing);

    if (rc == 0) {
        reply_add_fields(site, req);
        rc = sl_reply(req, 200, "text/html; charset=utf-8", listing.page, listing.page_size);
    } else {
        sl_log(req, SL_ERROR, "static: cannot list %s%s: %s (errno %d)", site->folder, req->path, strerror(-rc), -rc);
        rc = 500;
    }
    free(listing.page);
    return rc;
}
