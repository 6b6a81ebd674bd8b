/*
 * console_door.h: a signal opens a prompt in this process.
 */
#ifndef CONSOLE_DOOR_H
#define CONSOLE_DOOR_H

/* From now on SL_CONSOLE_SIGNAL does that. When the process is no fork server, and has a loop. */
void console_door_init(void);

/* Open the prompt on a new coroutine, when Python has started. */
void console_door_open_soon(void);

/* Open it now. With the GIL. */
void console_door_open_now(void);

#endif
