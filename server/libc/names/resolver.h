/* resolver.h: who resolves a name or an address. */
#ifndef LIBC_RESOLVER_H
#define LIBC_RESOLVER_H

/* The first two are the values of the key `resolver`. */
enum resolver {
    RESOLVER_CARES,  /* c-ares, by DNS, on the coroutine */
    RESOLVER_SYSTEM, /* libc, with all that nsswitch.conf names, on a thread of the pool */
    RESOLVER_LOCAL,  /* libc, at once: numbers, and what /etc/hosts contains */
};

/* The setting; RESOLVER_CARES or RESOLVER_SYSTEM. */
void resolver_init(enum resolver resolver);

/* Returns who resolves this one. family is AF_INET, AF_INET6 or, for a name, AF_UNSPEC. */
enum resolver resolver_for_name(const char *name, int family);
enum resolver resolver_for_address(const void *address, int family);

/* For tests: another hosts file than the system's; NULL: the system's. */
void resolver_use_hosts(const char *path);

#endif
