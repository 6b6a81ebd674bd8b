/* profile_formats.h: the files that a profile can be written to. */
#ifndef CTL_PROFILE_FORMATS_H
#define CTL_PROFILE_FORMATS_H

#include <stdio.h>

#include "ctl/profile_tree.h"

/* Write the tree, which is sorted. */
void profile_write_collapsed(FILE *out, const struct profile_node *root);  /* for flamegraph.pl and its like */
void profile_write_speedscope(FILE *out, const struct profile_node *root); /* for speedscope.app */
void profile_write_perfetto(FILE *out, const struct profile_node *root);   /* for ui.perfetto.dev */
void profile_write_svg(FILE *out, const struct profile_node *root);        /* a page of its own */

/* Write a string of JSON, with its quotes. */
void profile_write_json(FILE *out, const char *s);

#endif
