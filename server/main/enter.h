/* enter.h: from a configuration to the Python interpreter in which the server runs. */
#ifndef MAIN_ENTER_H
#define MAIN_ENTER_H

#include "conf/conf.h"
#include "host/host.h"
#include "settings/settings.h"

/* Go on in the interpreter that the configuration asks for, one with a file of the given module. Returns only if that
 * is not possible, with the reason in why. */
void enter_interpreter(char **argv, struct conf *c, const struct settings *settings, const char *module,
                       char why[HOST_WHY_SIZE]);

#endif
