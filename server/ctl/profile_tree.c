/*
 * profile_tree.c: the samples of a profile, as a tree of calls.
 *
 * The root is the whole profile, its children are what coroutines do (on CPU, wait for a socket, ...), and below these
 * are functions, the outermost ones first.
 */
#include "ctl/profile_tree.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/ctl.h"

static struct profile_node *node_child(struct profile_node *node, const char *name, size_t size)
{
    struct profile_node *child;

    for (size_t i = 0; i < node->count; i++)
        if (strlen(node->children[i]->name) == size && !memcmp(node->children[i]->name, name, size))
            return node->children[i];
    node->children = realloc(node->children, (node->count + 1) * sizeof(*node->children));
    child = calloc(1, sizeof(*child));
    if (!node->children || !child || !(child->name = strndup(name, size)))
        ctl_fail(EX_OSERR, "no memory for the profile");
    node->children[node->count++] = child;
    return child;
}

int profile_tree_add(struct profile_node *root, char *line)
{
    char *number = strrchr(line, ' '), *end;
    struct profile_node *node = root;
    long long time = number ? strtoll(number + 1, &end, 10) : 0;

    if (!number || number == line || end == number + 1 || *end || time < 0)
        return -1;
    *number = '\0';
    root->total += time;
    for (char *at = line; at; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL) {
        node = node_child(node, at, strcspn(at, ";"));
        node->total += time;
    }
    node->self += time;
    return 0;
}

static int compare_totals(const void *a, const void *b)
{
    const struct profile_node *x = *(struct profile_node *const *)a, *y = *(struct profile_node *const *)b;

    return x->total == y->total ? strcmp(x->name, y->name) : x->total < y->total ? 1 : -1;
}

void profile_tree_sort(struct profile_node *node)
{
    if (node->count > 0)
        qsort(node->children, node->count, sizeof(*node->children), compare_totals);
    for (size_t i = 0; i < node->count; i++)
        profile_tree_sort(node->children[i]);
}

void profile_tree_release(struct profile_node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        profile_tree_release(node->children[i]);
        free(node->children[i]->name);
        free(node->children[i]);
    }
    free(node->children);
    node->children = NULL;
    node->count = 0;
}
