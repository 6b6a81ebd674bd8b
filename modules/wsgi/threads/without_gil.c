/*
 * without_gil.c: C code that computes without the GIL does so upon another thread.
 *
 * Extension modules let go of the GIL by PyEval_SaveThread and take it back by PyEval_RestoreThread. What is between is
 * a section: in a thread it runs beside Python code, so on a coroutine it should too. Ours are called in their place
 * (sl_redirect). A section is known by the address from which PyEval_SaveThread is called, and by what it has cost
 * lately, an average in which no call has a lasting effect. Where that is high the coroutine goes on upon a thread of
 * the pool (sl_depart) and is back before anything of CPython's runs. Sections of some modules only compute, and are
 * taken to cost much until they have turned out not to.
 *
 * Waits cost nothing. Here the time is measured between them, and there, where a wait has the coroutine come home, it
 * is that of the CPU. Sections that often wait, for a database say, stay here in any case.
 *
 * A callback into Python, by PyGILState_Ensure, also comes back first, and what is left of the section goes on here.
 *
 * Modules that are part of the interpreter's executable call these functions directly. Of zlib, which is one in Debian,
 * the functions of the library are redirected.
 */
#include "threads/without_gil.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "interp/compat.h"
#include "syncless/runtime.h"
#include "threads/tstate.h"

#define MAX_SITES 4096 /* a power of 2; more are not measured */
#define MAX_STEPS 32
#define SLOW      INT64_C(300000)   /* nanoseconds on average from which on a section goes to another thread */
#define MAX_COUNT INT64_C(16000000) /* nanoseconds that one call counts at most */
#define SHARE     8                 /* the latest call is so much of the average: 1 / SHARE */
#define COMPUTES  INT64_C(2000000)  /* the average of sections that are not known yet, in modules that compute */
#define ALWAYS    1024              /* all of the latest sections have waited */
#define OFTEN     256
#define FORGETS   16 /* after so many that do not, or some more, a wait is forgotten */

/* A place in the code where the GIL is let go. */
struct site {
    const void *at;
    int64_t average; /* nanoseconds for which a section has computed lately */
    int waits;       /* how often sections have waited or come home lately, 0 to ALWAYS */
    bool stays;
};

static struct site sites[MAX_SITES];

/* Names of modules whose sections compute. */
static const char *const computing[] = {"_hashlib.", "_bcrypt.", "_scrypt.", "_argon2",       "_sqlite3.",
                                        "zlib.",     "_bz2.",    "_lzma.",   "_zstd",         "_brotli.",
                                        "_imaging.", "_blake2.", "_sha3.",   "_umath_linalg."};

/* Those that call any function from one place: that says nothing of the next. And they keep the address of errno. */
static const char *const staying[] = {"_ctypes.", "_cffi_backend."};

/* ---- sites ---- */

/* Whether the name of the object in which an address is begins with one of these. */
static bool is_in_module(const void *at, const char *const *names, size_t count)
{
    const char *slash;
    Dl_info info;

    if (!dladdr(at, &info) || !info.dli_fname || !(slash = strrchr(info.dli_fname, '/')))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!strncmp(slash + 1, names[i], strlen(names[i])))
            return true;
    return false;
}

static struct site site_new(const void *at)
{
    struct site site = {.at = at};

    if (is_in_module(at, computing, sizeof(computing) / sizeof(*computing)))
        site.average = COMPUTES;
    site.stays = is_in_module(at, staying, sizeof(staying) / sizeof(*staying));
    return site;
}

/* Returns the record of a site, which is made if there is none; NULL if there is no room. */
static struct site *site_find(const void *at)
{
    size_t first = ((uintptr_t)at * UINT64_C(0x9E3779B97F4A7C15)) >> 52;

    for (size_t i = 0; i < MAX_STEPS; i++) {
        struct site *site = &sites[(first + i) % MAX_SITES];

        if (site->at == at)
            return site;
        if (site->at)
            continue;
        *site = site_new(at);
        return site;
    }
    return NULL;
}

static bool site_computes(const struct site *site)
{
    return site->average >= SLOW && site->waits < OFTEN && !site->stays;
}

static void site_count(struct site *site, int64_t took)
{
    site->average += ((took < MAX_COUNT ? took : MAX_COUNT) - site->average) / SHARE;
}

/* One wait is enough, for some time: it is here that waiting takes nothing from others. What comes home for another
 * reason, to load a library for one, may go again. */
static void site_count_wait(struct site *site, bool waited, bool came_home)
{
    if (waited)
        site->waits = ALWAYS;
    else if (came_home)
        site->waits += (ALWAYS - site->waits) / SHARE;
    else
        site->waits -= (site->waits + FORGETS - 1) / FORGETS;
}

/* ---- sections ---- */

static int64_t section_now(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static clockid_t section_clock(const struct section *s)
{
    return s->away ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
}

void section_leave(struct section *s)
{
    s->waited |= sl_waits();
    if (!s->away)
        s->spent += section_now(CLOCK_MONOTONIC) - s->begun;
}

void section_go_on(struct section *s)
{
    s->begun = section_now(section_clock(s));
}

/* The GIL was let go at that place, by a coroutine on its own OS thread. */
static void section_begin(const void *at)
{
    struct section *s = tstate_section();
    struct site *site = s ? site_find(at) : NULL;

    if (!site)
        return;
    s->spent = 0;
    s->waited = false;
    s->away = site_computes(site) && sl_depart() == 0;
    section_go_on(s);
    s->site = site;
}

/* Ends the section, if there is one. Returns whether the coroutine was away to the end, without a wait that would have
 * told it of exceptions. */
static bool section_end(void)
{
    struct section *s = tstate_section(), ended;
    bool came_home;
    int64_t took;

    if (!s || !s->site)
        return false;
    ended = *s;
    s->site = NULL;
    took = section_now(section_clock(&ended)) - ended.begun + ended.spent;
    came_home = ended.away && !sl_return();
    if (!came_home) /* if so, its time is of two threads */
        site_count(ended.site, took);
    site_count_wait(ended.site, ended.waited, came_home);
    return ended.away && !came_home;
}

/* ---- in place of CPython's functions ---- */

static PyThreadState *section_save_thread(void)
{
    PyThreadState *state = PyEval_SaveThread();

    if (sl_self())
        section_begin(__builtin_return_address(0));
    return state;
}

static void section_restore_thread(PyThreadState *state)
{
    bool away = section_end();

    PyEval_RestoreThread(state);
    if (away)
        tstate_returned();
}

static void section_acquire_thread(PyThreadState *state)
{
    section_end();
    PyEval_AcquireThread(state);
}

static PyGILState_STATE section_ensure(void)
{
    section_end();
    return PyGILState_Ensure();
}

/* ---- in place of zlib's, as the interpreter calls them ---- */

static int (*real_deflate)(void *stream, int flush);
static int (*real_inflate)(void *stream, int flush);
static unsigned long (*real_crc32)(unsigned long sum, const void *data, unsigned size);
static unsigned long (*real_adler32)(unsigned long sum, const void *data, unsigned size);

/* The interpreter has let go of the GIL: a section begins. */
static void section_begin_without_gil(const void *at)
{
    if (sl_self() && !compat_holder(NULL))
        section_begin(at);
}

static int section_deflate(void *stream, int flush)
{
    int result;

    section_begin_without_gil((void *)real_deflate);
    result = real_deflate(stream, flush);
    section_end();
    return result;
}

static int section_inflate(void *stream, int flush)
{
    int result;

    section_begin_without_gil((void *)real_inflate);
    result = real_inflate(stream, flush);
    section_end();
    return result;
}

static unsigned long section_crc32(unsigned long sum, const void *data, unsigned size)
{
    section_begin_without_gil((void *)real_crc32);
    sum = real_crc32(sum, data, size);
    section_end();
    return sum;
}

static unsigned long section_adler32(unsigned long sum, const void *data, unsigned size)
{
    section_begin_without_gil((void *)real_adler32);
    sum = real_adler32(sum, data, size);
    section_end();
    return sum;
}

/* ---- set-up ---- */

static struct sl_redirect redirects[9] = {
    {.name = "PyEval_SaveThread", .to = (void *)section_save_thread, .in = (void *)Py_InitializeFromConfig},
    {.name = "PyEval_RestoreThread", .to = (void *)section_restore_thread, .in = (void *)Py_InitializeFromConfig},
    {.name = "PyEval_AcquireThread", .to = (void *)section_acquire_thread, .in = (void *)Py_InitializeFromConfig},
    {.name = "PyGILState_Ensure", .to = (void *)section_ensure, .in = (void *)Py_InitializeFromConfig},
};
static size_t redirect_count = 4;

/* Redirects a function of a library, if the interpreter's executable has loaded that. */
static void redirect_library(const char *name, void *real, void *to)
{
    void *found = dlsym(RTLD_DEFAULT, name);

    if (!found)
        return;
    *(void **)real = found;
    redirects[redirect_count++] = (struct sl_redirect){name, to, (void *)Py_InitializeFromConfig, true};
}

void section_init(void)
{
    if (redirect_count > 4)
        return;
    redirect_library("deflate", &real_deflate, (void *)section_deflate);
    redirect_library("inflate", &real_inflate, (void *)section_inflate);
    redirect_library("crc32", &real_crc32, (void *)section_crc32);
    redirect_library("adler32", &real_adler32, (void *)section_adler32);
    sl_redirect(redirects);
}
