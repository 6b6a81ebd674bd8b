/* top_terminal.h: the terminal, while a program has all of it. */
#ifndef CTL_TOP_TERMINAL_H
#define CTL_TOP_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Take all of the terminal. It is given back when the program ends, also by a signal that terminal_await tells of. Ends
 * the program if standard input and output are none. */
void terminal_take(void);
void terminal_give_back(void);

enum terminal_event {
    TERMINAL_NOTHING, /* the time is over, or a descriptor is ready */
    TERMINAL_KEY,
    TERMINAL_RESIZED,
    TERMINAL_END, /* Ctrl-C, SIGTERM, or the terminal is gone */
};

struct pollfd;

/* Wait for so many milliseconds at most, for one of the descriptors, or for an event. polls[0] is filled in here. *key
 * is the key that was pressed. */
enum terminal_event terminal_await(struct pollfd *polls, size_t count, int milliseconds, char *key);

void terminal_get_size(int *rows, int *columns);

/* Write to it. Returns false if it is gone. */
bool terminal_write(const char *text, size_t size);

#endif
