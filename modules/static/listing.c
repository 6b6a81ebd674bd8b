/*
 * listing.c: the contents of a folder as an HTML page, folders first, then by name.
 *
 * A folder may have very many entries, and each takes a stat. So it is read and sorted on a thread of the pool, into
 * memory from malloc, since the request's memory belongs to the event loop's thread. The page is made and sent piece by
 * piece: it would be several times as large as the names. Regular
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

#define PIECE_SIZE 32768 /* bytes after which a part of the page is sent */

struct listing_entry {
    char *name;
    off_t size;
    time_t modified;
    mode_t mode;
};

struct listing {
    const struct sl_request *req;
    int fd; /* the folder; closed once it has been read */
    bool hidden;
    struct listing_entry *entries;
    size_t count, capacity;
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
    listing->entries[listing->count++] =
        (struct listing_entry){sl_must(strdup(name)), st.st_size, st.st_mtime, st.st_mode};
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const struct listing_entry *left = a, *right = b;
    bool left_folder = S_ISDIR(left->mode), right_folder = S_ISDIR(right->mode);

    return left_folder != right_folder ? right_folder - left_folder : strcmp(left->name, right->name);
}

/* Read the folder, on a thread of the pool. 0 or -errno. */
static int listing_read(void *arg)
{
    struct listing *listing = arg;
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
    const char *slash = S_ISDIR(entry->mode) ? "/" : "";
    char when[32] = "", size[32] = "";
    struct tm tm;

    if (!S_ISLNK(entry->mode) && gmtime_r(&entry->modified, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
    if (S_ISREG(entry->mode))
        snprintf(size, sizeof(size), "%jd", (intmax_t)entry->size);
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

static void listing_print_start(FILE *out, const struct listing *listing)
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
}

/* Send what has been printed, if it is a piece. Returns 0 or -errno. */
static int listing_send_piece(struct sl_request *req, FILE *out, char *const *page, size_t *size, bool *begun)
{
    int err;

    if (fflush(out) || ferror(out))
        return -ENOMEM;
    if (*size < PIECE_SIZE)
        return 0;
    *begun = true;
    err = sl_write(req, *page, *size);
    rewind(out);
    return err;
}

/* Send the page; one that is a single piece with its length. Returns the result of sl_module.handle. */
static int listing_send_page(const struct listing *listing, struct sl_request *req, FILE *out, char *const *page,
                             size_t *size)
{
    bool begun = false;
    int err = 0;

    listing_print_start(out, listing);
    for (size_t i = 0; i < listing->count && !err; i++) {
        listing_print_entry(out, &listing->entries[i]);
        err = listing_send_piece(req, out, page, size, &begun);
    }
    fputs("</table></body></html>\n", out);
    if (!err && (fflush(out) || ferror(out)))
        err = -ENOMEM;
    if (err)
        return err;
    return begun ? sl_write(req, *page, *size) : sl_reply(req, 200, NULL, *page, *size);
}

static void listing_release(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->entries[i].name);
    free(listing->entries);
}

int listing_send(const struct site *site, struct sl_request *req, int fd)
{
    struct listing listing = {.req = req, .fd = fd, .hidden = site->hidden};
    int err = sl_offload(listing_read, &listing);
    size_t size = 0;
    char *page = NULL;
    FILE *out;

    if (err) {
        sl_log(req, SL_ERROR, "static: cannot list %s%s: %s (errno %d)", site->folder, req->path, strerror(-err), -err);
        listing_release(&listing);
        return 500;
    }
    reply_add_fields(site, req);
    err = sl_header(req, "Content-Type", "text/html; charset=utf-8");
    out = sl_must(open_memstream(&page, &size));
    if (!err)
        err = listing_send_page(&listing, req, out, &page, &size);
    fclose(out);
    free(page);
    listing_release(&listing);
    return err;
}
