/* top_screen.h: what `syncless-ctl top` shows. */
#ifndef CTL_TOP_SCREEN_H
#define CTL_TOP_SCREEN_H

#include <stdbool.h>

#include "ctl/json.h"
#include "ctl/top_figures.h"

enum top_sort { SORT_AGE, SORT_CPU, SORT_STATE, TOP_SORTS };

struct top_view {
    int rows, columns;
    enum top_sort sort;
    bool paused;
    const char *trouble;       /* why there is nothing newer; "": there is */
    const struct json *status; /* answers; NULL: none yet */
    const struct json *requests;
    const struct top_figures *figures;
};

/* Draw it. Returns false if the terminal is gone. */
bool top_screen_draw(const struct top_view *view);

#endif
