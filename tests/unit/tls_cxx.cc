// tls_cxx.cc: thread-locals of C++ with destructors, which tell a function of test_libc_tls.c about it.

namespace {

void (*told)(int number);

struct teller {
    int number;
    explicit teller(int n) : number(n)
    {
    }
    ~teller()
    {
        if (told)
            told(number);
    }
};

thread_local teller first(1), second(2);

// Its destructor makes another one.
struct maker {
    bool used = false;
    ~maker();
};

thread_local teller late(4);
thread_local maker third;

maker::~maker()
{
    if (told)
        told(3);
    late.number = 4;
}

} // namespace

extern "C" {

void cxx_tell(void (*fn)(int number))
{
    told = fn;
}

// Uses them in that order; they are made together, in the order of their definition.
int cxx_use(void)
{
    return first.number + second.number;
}

void cxx_use_maker(void)
{
    third.used = true;
}

int cxx_change(int number)
{
    int before = first.number;

    first.number = number;
    return before;
}
}
