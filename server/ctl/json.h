/* json.h: JSON as a tree, for what a server answers. */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    const char *name;          /* of a member of an object; else NULL */
    const char *text;          /* of a string; printable ASCII only, "?" stands for the rest */
    double number;             /* of a number; 1 for true */
    struct json *first, *next; /* first: of an array or object; next: beside this one */
};

/* Read a text of that size, which a NUL ends and which is changed and borrowed. Returns the tree, for json_free; NULL
 * if it is no JSON. */
struct json *json_parse(char *text, size_t size);
void json_free(struct json *tree);

/* Returns a member of an object, or NULL; also if that is no object, or NULL. */
const struct json *json_member(const struct json *object, const char *name);

/* The same, and then its text or number; "" or 0 if there is none. */
const char *json_text(const struct json *object, const char *name);
double json_number(const struct json *object, const char *name);

#endif
