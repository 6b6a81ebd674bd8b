/*
 * profile_stacks.c: the stacks of a profile, and the time that each has had.
 *
 * A stack is kept as one line, as programs that draw flame graphs read them: the functions from the outermost one on,
 * separated by semicolons. There is a table of these lines, so adding time to a stack that is known costs nothing. The
 * memory is bounded: further stacks are one. Of many that wait at once only some can be read: they stand for the others
 * that wait for the same.
 */
#include "inside/profile_stacks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MAX_MEMORY  (16 << 20) /* bytes of lines */
#define MAX_FRAMES  200        /* of a stack */
#define TABLE_SIZE  65536      /* a power of two; half of it is used at most */
#define FILE_BEGIN  "  File \""
#define NO_FUNCTION "[C code]"

struct profile_stack {
    uint32_t hash;
    int64_t time; /* nanoseconds */
    bool is_unread;
    char line[];
};

static struct {
    struct profile_stack **table; /* owned; NULL until there is one */
    size_t count, memory;
    struct text line; /* that is put together */
} stacks;

static uint32_t hash_of(const char *s, size_t size)
{
    uint32_t hash = 2166136261;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)s[i]) * 16777619;
    return hash;
}

/* Returns where the line is in the table, or is to be. */
static struct profile_stack **find_place(const char *line, size_t size, uint32_t hash)
{
    size_t at = hash % TABLE_SIZE;

    while (stacks.table[at] && (stacks.table[at]->hash != hash || strlen(stacks.table[at]->line) != size ||
                                memcmp(stacks.table[at]->line, line, size)))
        at = (at + 1) % TABLE_SIZE;
    return &stacks.table[at];
}

static struct profile_stack *find_line(const char *line, size_t size)
{
    uint32_t hash = hash_of(line, size);
    struct profile_stack **place, *stack;

    if (!stacks.table)
        stacks.table = xcalloc(TABLE_SIZE, sizeof(*stacks.table));
    place = find_place(line, size, hash);
    if (*place)
        return *place;
    stack = *place = xcalloc(1, sizeof(*stack) + size + 1);
    stack->hash = hash;
    memcpy(stack->line, line, size);
    stacks.memory += sizeof(*stack) + size + 1;
    stacks.count++;
    return stack;
}

/* ---- lines ---- */

/* Add a name; what would end it, or the line, becomes another character. */
static void add_safely(const char *s, size_t size)
{
    size_t begin = stacks.line.size;

    text_add(&stacks.line, s, size);
    for (char *at = stacks.line.buf + begin; at < stacks.line.buf + stacks.line.size; at++)
        if (*at == ';')
            *at = ',';
        else if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
}

/* Returns where the last two names of a path begin. */
static const char *short_path(const char *path, const char *end)
{
    int slashes = 0;

    for (const char *at = end; at > path; at--)
        if (at[-1] == '/' && ++slashes == 2)
            return at;
    return path;
}

/* Add `;function (folder/file.py)` for a line `  File "path", line 12 in function`. */
static void add_frame(const char *line, const char *end)
{
    const char *path = line + strlen(FILE_BEGIN), *quote = memchr(path, '"', (size_t)(end - path)), *in;

    in = quote ? memmem(quote, (size_t)(end - quote), " in ", 4) : NULL;
    if (!in)
        return;
    text_add(&stacks.line, ";", 1);
    add_safely(in + 4, (size_t)(end - in - 4));
    path = short_path(path, quote);
    text_add(&stacks.line, " (", 2);
    add_safely(path, (size_t)(quote - path));
    text_add(&stacks.line, ")", 1);
}

/* Returns how many frames the dump has; lines[i] is where each begins, and the next one where it ends. */
static size_t split_frames(const char *dump, size_t size, const char *lines[MAX_FRAMES][2])
{
    size_t count = 0;

    for (const char *at = dump, *end; at < dump + size && count < MAX_FRAMES; at = end + 1) {
        end = memchr(at, '\n', (size_t)(dump + size - at));
        end = end ? end : dump + size;
        if ((size_t)(end - at) <= strlen(FILE_BEGIN) || memcmp(at, FILE_BEGIN, strlen(FILE_BEGIN)))
            continue;
        lines[count][0] = at;
        lines[count++][1] = end;
    }
    return count;
}

struct profile_stack *profile_stack_find(const char *kind, const char *dump, size_t size, const char *last)
{
    const char *lines[MAX_FRAMES][2];
    size_t count = split_frames(dump, size, lines);

    stacks.line.size = 0;
    add_safely(kind, strlen(kind));
    if (stacks.memory > MAX_MEMORY || stacks.count >= TABLE_SIZE / 2) {
        text_printf(&stacks.line, ";[further stacks]");
        return find_line(stacks.line.buf, stacks.line.size);
    }
    for (size_t i = count; i > 0; i--)
        add_frame(lines[i - 1][0], lines[i - 1][1]);
    if (last) {
        text_add(&stacks.line, ";", 1);
        add_safely(last, strlen(last));
    } else if (count == 0) {
        text_printf(&stacks.line, ";%s", NO_FUNCTION);
    }
    return find_line(stacks.line.buf, stacks.line.size);
}

struct profile_stack *profile_stack_unread(const char *kind)
{
    struct profile_stack *stack = profile_stack_find(kind, "", 0, "[stack not read]");

    stack->is_unread = true;
    return stack;
}

void profile_stack_add(struct profile_stack *stack, int64_t nanoseconds)
{
    stack->time += nanoseconds;
}

/* ---- all of them ---- */

static bool is_of_kind(const struct profile_stack *stack, const struct profile_stack *other)
{
    size_t size = strcspn(other->line, ";") + 1;

    return stack && !stack->is_unread && !strncmp(stack->line, other->line, size);
}

/* Returns the time of all stacks of the same kind that were read. */
static int64_t time_of_kind(const struct profile_stack *unread)
{
    int64_t time = 0;

    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (is_of_kind(stacks.table[i], unread))
            time += stacks.table[i]->time;
    return time;
}

static void divide_unread(struct profile_stack *unread)
{
    int64_t read = time_of_kind(unread);
    double factor = read > 0 ? 1 + (double)unread->time / (double)read : 1;

    if (read <= 0)
        return;
    unread->time = 0;
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (is_of_kind(stacks.table[i], unread))
            stacks.table[i]->time = (int64_t)((double)stacks.table[i]->time * factor);
}

bool profile_stacks_write(struct text *out)
{
    bool is_full = stacks.memory > MAX_MEMORY / 2 || stacks.count > TABLE_SIZE / 4;

    for (size_t i = 0; stacks.table && i < TABLE_SIZE; i++)
        if (stacks.table[i] && stacks.table[i]->is_unread && stacks.table[i]->time > 0)
            divide_unread(stacks.table[i]);
    for (size_t i = 0; stacks.table && i < TABLE_SIZE; i++) {
        struct profile_stack *stack = stacks.table[i];

        if (!stack || stack->time < 1000)
            continue;
        text_printf(out, "%s %lld\n", stack->line, (long long)(stack->time / 1000));
        stack->time %= 1000;
    }
    if (is_full)
        profile_stacks_clear();
    return is_full;
}

void profile_stacks_clear(void)
{
    for (size_t i = 0; stacks.table && i < TABLE_SIZE; i++)
        free(stacks.table[i]);
    free(stacks.table);
    free(stacks.line.buf);
    memset(&stacks, 0, sizeof(stacks));
}
