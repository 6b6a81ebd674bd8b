/*
 * elf.c: whether an executable can be the host of the server.
 *
 * Its loader must be the one that loaded us, for it has to map libsyncless.so with the libc that this was linked to,
 * and must heed LD_PRELOAD. A static executable has no loader, one of musl another one; one that gives privileges has a
 * loader that ignores LD_PRELOAD. Then the interpreter would take our command line for its own, so this is found out
 * before it is executed. The format is that of elf(5).
 */
#include "host/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/host.h"

#define OURS "/proc/self/exe"

/* Read size bytes at an offset. Returns whether all are there. */
static bool read_at(int fd, void *data, size_t size, off_t offset)
{
    return pread(fd, data, size, offset) == (ssize_t)size;
}

/* Fill in the path of the loader, an empty one if there is none. Returns false if this is no executable of our kind. */
static bool read_loader(int fd, char loader[PATH_MAX])
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;

    *loader = '\0';
    if (!read_at(fd, &header, sizeof(header), 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
        header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
        return false;
    for (int i = 0; i < header.e_phnum; i++) {
        if (!read_at(fd, &segment, sizeof(segment), (off_t)(header.e_phoff + (size_t)i * header.e_phentsize)))
            return false;
        if (segment.p_type != PT_INTERP)
            continue;
        return segment.p_filesz < PATH_MAX && read_at(fd, loader, segment.p_filesz, (off_t)segment.p_offset);
    }
    return true;
}

/* Returns 0; -ENOEXEC if the file is no executable of our kind; or another negative errno. */
static int find_loader(const char *path, char loader[PATH_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

    if (fd < 0)
        return -errno;
    if (!read_loader(fd, loader))
        err = -ENOEXEC;
    close(fd);
    return err;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat of_a, of_b;

    return !stat(a, &of_a) && !stat(b, &of_b) && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* Whether the kernel would run it with other rights than ours, and its loader would then ignore LD_PRELOAD. */
static bool gives_privileges(const char *path)
{
    struct stat st;

    return !stat(path, &st) &&
           ((st.st_mode & (S_ISUID | S_ISGID)) || getxattr(path, "security.capability", NULL, 0) > 0);
}

bool elf_is_script(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char start[2] = "";
    bool is_script = fd >= 0 && read_at(fd, start, sizeof(start), 0) && !memcmp(start, "#!", sizeof(start));

    if (fd >= 0)
        close(fd);
    return is_script;
}

bool elf_refuse(const char *path, char *why)
{
    char loader[PATH_MAX] = "", ours[PATH_MAX] = "";
    int err = access(path, X_OK) < 0 ? -errno : find_loader(path, loader);

    if (err == -ENOEXEC)
        snprintf(why, HOST_WHY_SIZE, "%s is not an executable of this machine", path);
    else if (err)
        snprintf(why, HOST_WHY_SIZE, "cannot run %s: %s", path, strerror(-err));
    else if (!*loader)
        snprintf(why, HOST_WHY_SIZE, "%s is linked statically, and cannot load the server: use another build of Python",
                 path);
    else if (!find_loader(OURS, ours) && !is_same_file(loader, ours))
        snprintf(why, HOST_WHY_SIZE,
                 "%s was built for another C library, whose loader is %s; the one of this server is %s: use a Python "
                 "that was built for this system",
                 path, loader, ours);
    else if (gives_privileges(path))
        snprintf(why, HOST_WHY_SIZE,
                 "%s has privileges of its own (setuid, setgid or capabilities), so that LD_PRELOAD does not work: use "
                 "a copy without them",
                 path);
    else
        return false;
    return true;
}
