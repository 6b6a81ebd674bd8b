// throwing.cc: C++ code that gives up the OS thread where exceptions are in flight, for test_cxx.c, and code that is
// left by pthread_exit, for test_thread_exit.c.
#include <exception>

namespace
{

// Gives up the thread while the stack is unwound.
struct Yields {
    void (*yield)();
    int *uncaught;

    ~Yields()
    {
        yield();
        *uncaught = std::uncaught_exceptions();
    }
};

int throw_past(int number, void (*yield)(), int *uncaught)
{
    Yields guard = {yield, uncaught};

    throw number;
}

// Tells of its end.
struct Tells {
    void (*told)(int);

    ~Tells()
    {
        told(100);
    }
};

} // namespace

// Throw number past a destructor that yields, catch it, yield, throw another inside of the handler, yield, and throw
// the first again. Returns what was caught last: number, or what went wrong, negative.
// Calls fn with an object on the stack, and catches all that it throws, to throw it again.
extern "C" void guarded(void (*fn)(void *), void *arg, void (*told)(int))
{
    Tells guard = {told};

    try {
        fn(arg);
    } catch (...) {
        throw;
    }
}

extern "C" int throwing(int number, void (*yield)())
{
    int uncaught = 0;

    try {
        try {
            throw_past(number, yield, &uncaught);
        } catch (int) {
            yield();
            if (uncaught != 1 || std::uncaught_exceptions() != 0)
                return -1;
            try {
                throw static_cast<long>(number);
            } catch (long again) {
                yield();
                if (again != number)
                    return -2;
            }
            yield();
            throw;
        }
    } catch (int caught) {
        yield();
        return std::current_exception() ? caught : -3;
    }
    return -4;
}
