/* any_cmocka.h: cmocka 1 and 2, which has other names for some of it. */
#ifndef ANY_CMOCKA_H
#define ANY_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#ifdef assert_uint_in_range /* cmocka 2 */
#undef assert_in_range
#define assert_in_range assert_uint_in_range
#undef stop
#endif

#endif
