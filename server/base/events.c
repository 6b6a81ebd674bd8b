/*
 * events.c: what seldom happens in this process, counted wherever it does.
 *
 * So the layers that do something need not know who counts, and nobody has to ask each of them.
 */
#include "base/events.h"

uint64_t events[EVENTS];
