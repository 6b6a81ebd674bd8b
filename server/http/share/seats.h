/* seats.h: what each worker tells the others of itself, in memory that all of them share. */
#ifndef SHARE_SEATS_H
#define SHARE_SEATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

struct seat {
    _Atomic pid_t pid;          /* of its worker; 0: the seat is free */
    _Atomic uint64_t kind;      /* workers of one kind serve the same sockets in the same way; 0: not yet known */
    _Atomic int64_t open;       /* connections */
    _Atomic uint64_t accepted;  /* connections since the start, but see seat_forgive */
    _Atomic uint64_t served;    /* requests, in the same way; exact to SERVED_STEP of share.c */
    _Atomic int64_t poked;      /* CLOCK_MONOTONIC ns when it was told to look, and has not yet; 0: it is not behind */
    _Atomic unsigned name_size; /* of name */
    char name[sizeof(sa_family_t) + 8]; /* the address of its socket, which the kernel has chosen */
} __attribute__((aligned(64)));

/* Make the table. In the master, before the first fork; without it, all of this does nothing. */
void seats_create(void);

/* A process has ended: free its seat, if it has one. Any process. */
void seats_vacate(pid_t pid);

/* Take a seat for this process. Returns NULL if there is none. */
struct seat *seat_take(void);

/* Visit the other seats of the same kind as mine; ends with NULL. at: begin with 0. */
struct seat *seat_next(const struct seat *mine, unsigned *at);

/* The number of a seat, and its seat again; NULL if there is no such one. */
unsigned seat_number(const struct seat *seat);
struct seat *seat_of(unsigned number);

#endif
