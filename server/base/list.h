/* list.h: intrusive, doubly linked, circular lists. A node that is in no list points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)                                                                                                \
    {                                                                                                                  \
        &(name), &(name)                                                                                               \
    }
#define list_entry(node, type, field) ((type *)((char *)(node)-offsetof(type, field)))

/* Visit each node. The body must not remove the node that it visits, except with list_for_each_safe. */
#define list_for_each(node, list) for ((node) = (list)->next; (node) != (list); (node) = (node)->next)
#define list_for_each_safe(node, after, list)                                                                          \
    for ((node) = (list)->next, (after) = (node)->next; (node) != (list); (node) = (after), (after) = (node)->next)

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Add node as the last of the list; or before any node of a list, if l is that node. */
static inline void list_push(struct list *l, struct list *node)
{
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}

/* Remove node from its list; nothing happens if it is in none. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Remove the first node and return it, or NULL. */
static inline struct list *list_pop(struct list *l)
{
    struct list *node = l->next;

    if (node == l)
        return NULL;
    list_remove(node);
    return node;
}

/* Move all nodes of from to the end of l. */
static inline void list_splice(struct list *l, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = l->prev;
    l->prev->next = from->next;
    from->prev->next = l;
    l->prev = from->prev;
    list_init(from);
}

#endif
