/* profile_tree.h: the samples of a profile, as a tree of calls. */
#ifndef CTL_PROFILE_TREE_H
#define CTL_PROFILE_TREE_H

#include <stddef.h>
#include <stdint.h>

struct profile_node {
    char *name;                     /* owned */
    int64_t total, self;            /* microseconds; self: without its children */
    struct profile_node **children; /* owned; the largest first, after profile_tree_sort */
    size_t count;
};

/* Add `name;name;... MICROSECONDS`, which is changed. Returns 0, or -1 if it is no such line. */
int profile_tree_add(struct profile_node *root, char *line);

/* Free what is below the node. */
void profile_tree_release(struct profile_node *node);

/* Sort children by what they have taken. */
void profile_tree_sort(struct profile_node *node);

#endif
