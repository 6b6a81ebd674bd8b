/* output_test.h: for tests of output to a pipe that is full at first. */
#ifndef OUTPUT_TEST_H
#define OUTPUT_TEST_H

#include "libc_test.h"

#include <stdio.h>

static char *collected;
static size_t collected_size;

/* Read all from fd into collected, slowly at first. */
static void collect(long fd)
{
    char block[8192];
    ssize_t got;
    FILE *memory = open_memstream(&collected, &collected_size);

    while ((got = read((int)fd, block, sizeof(block))) > 0) {
        fwrite(block, 1, (size_t)got, memory);
        usleep(200);
    }
    fclose(memory);
}

/* Fill a pipe. Returns the number of bytes. */
static size_t fill(int fd)
{
    char block[4096];
    size_t all = 0;
    ssize_t put;

    memset(block, '.', sizeof(block));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while ((put = write(fd, block, sizeof(block))) > 0)
        all += (size_t)put;
    fcntl(fd, F_SETFL, 0);
    return all;
}

#endif
