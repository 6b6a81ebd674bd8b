/* migrate.h: --migrate, which converts the configuration of another server. */
#ifndef MAIN_MIGRATE_H
#define MAIN_MIGRATE_H

/* Become the program that writes file as an ini file to standard output; app is the application that it does not name,
 * or NULL. Returns an exit code if that fails, which is reported. */
int migrate_run(const char *file, const char *app);

#endif
