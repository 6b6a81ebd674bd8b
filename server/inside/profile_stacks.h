/* profile_stacks.h: the stacks of a profile, and the time that each has had. */
#ifndef INSIDE_PROFILE_STACKS_H
#define INSIDE_PROFILE_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* A stack. It stays until profile_stacks_write says otherwise. */
struct profile_stack;

/* Returns the stack of which dump is: lines as CPython writes them, the most recent call first. kind comes first of
 * all, and last, if it is not NULL, at the end. If memory is used up that is a stack for all further ones. */
struct profile_stack *profile_stack_find(const char *kind, const char *dump, size_t size, const char *last);

/* Returns what stands for the stacks of this kind that were not read: when stacks are written its time is divided among
 * those of the same kind. */
struct profile_stack *profile_stack_unread(const char *kind);

void profile_stack_add(struct profile_stack *stack, int64_t nanoseconds);

/* Write lines `kind;outermost;...;innermost MICROSECONDS` of what was added since the last call. Returns whether the
 * stacks are gone, since they have taken too much memory. */
bool profile_stacks_write(struct text *out);

/* Forget all. */
void profile_stacks_clear(void);

#endif
