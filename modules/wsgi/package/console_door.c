/*
 * console_door.c: a signal opens a prompt in this process, or the start does, without any code in the application.
 *
 * Only root and the user of the process can send it the signal, and only these are let in. Nothing is imported and no
 * socket is open before. The rest is in syncless/console.py, which also has the client.
 */
#include "package/console_door.h"

#include <signal.h>

#include "package/package_call.h"
#include "syncless/runtime.h"

static const struct package_function open_by_signal = {"syncless.console", "open_by_signal"};
static const struct package_function open_at_start = {"syncless.console", "open_at_start"};

static void on_console_signal(int signum)
{
    package_call_soon(&open_by_signal);
}

void console_door_init(void)
{
    sl_on_signal(SL_CONSOLE_SIGNAL, on_console_signal);
}

void console_door_open_soon(void)
{
    package_call_soon(&open_at_start);
}

void console_door_open_now(void)
{
    package_call(&open_at_start);
}
