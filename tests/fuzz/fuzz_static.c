/*
 * fuzz_static.c: the fields of a request for a static file: Range, and the conditions.
 *
 * The first bytes are the size of the file, what follows its first NUL the lines of fields. Ranges that are accepted
 * lie in the file, do not touch each other and ask for no more than the file has; conditions give 0, 304 or 412, and
 * never use more memory than a small factor of the fields.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/request/request.h"
#include "modules/static/condition.h"
#include "modules/static/range.h"

#define MAX_FIELDS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ranges(const char *value, off_t size)
{
    struct range ranges[MAX_RANGES];
    int count = range_parse(value, size, ranges);
    off_t sum = 0;

    assert(count == -ERANGE || (count >= 0 && count <= MAX_RANGES));
    for (int i = 0; i < count; i++) {
        assert(ranges[i].first >= 0 && ranges[i].first <= ranges[i].last && ranges[i].last < size);
        sum += ranges[i].last - ranges[i].first + 1;
        for (int j = 0; j < i; j++)
            assert(ranges[j].last < ranges[i].first || ranges[i].last < ranges[j].first);
    }
    assert(count <= 0 || sum <= size);
}

static void check_values(const struct conditions *c, off_t size)
{
    struct stat st = {.st_ino = 12, .st_size = size, .st_mtim = {.tv_sec = 784111777, .tv_nsec = 5}};
    struct validators v;
    int status;

    validators_init(&v, &st, "");
    status = condition_check(c, &v);
    assert(status == 0 || status == 304 || status == 412);
    assert(status != 304 || c->if_none_match || c->if_modified_since);
    assert(status != 412 || c->if_match || c->if_unmodified_since || c->if_none_match);
    if (c->range && condition_range(c, &v))
        check_ranges(c->range, size);
}

/* Split lines `name: value` in place. Returns their number. */
static size_t split_fields(char *text, struct sl_field *fields)
{
    size_t count = 0;

    for (char *line, *colon; count < MAX_FIELDS && (line = strsep(&text, "\n"));) {
        if (!(colon = strchr(line, ':')) || colon == line)
            continue;
        *colon = '\0';
        fields[count].name = line;
        fields[count].name_size = (size_t)(colon - line);
        fields[count].value = colon + 1;
        fields[count++].value_size = strlen(colon + 1);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_field fields[MAX_FIELDS] = {0};
    struct request req = {.view = {.fields = fields}};
    struct conditions conditions;
    int64_t file_size = 0;
    char *text;

    if (size < 4)
        return -1;
    memcpy(&file_size, data, 3); /* up to 16 MB */
    if (data[3] & 1)
        file_size = INT64_MAX - file_size;
    text = strndup((const char *)data + 4, size - 4);
    req.view.field_count = split_fields(text, fields);
    arena_init(&req.arena);
    conditions_read(&conditions, &req.view);
    check_values(&conditions, (off_t)file_size);
    arena_release(&req.arena);
    free(text);
    return 0;
}
