// Locks of C++20, as a library of an extension uses them. Each function is called by several threads at once.
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

static void nap(int milliseconds = 20)
{
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

static std::atomic<int> made, failed;

struct Slow {
    int value;
    Slow() : value(42)
    {
        nap();
        made++;
    }
};

struct Fails {
    int value;
    Fails() : value(7)
    {
        nap();
        if (++failed < 3)
            throw std::runtime_error("not yet");
    }
};

// Returns 1 if nobody was inside at the same time.
template <class Lock> static int alone(Lock &lock)
{
    static std::atomic<int> inside;
    int good = 1;

    for (int i = 0; i < 5; i++) {
        std::lock_guard guard(lock);
        good &= inside++ == 0;
        nap(2);
        inside--;
    }
    return good;
}

extern "C" {

int static_local() // __cxa_guard_acquire
{
    static Slow slow;

    return slow.value + made;
}

int static_that_fails() // __cxa_guard_abort, and the next one tries
{
    try {
        static Fails fails;

        return fails.value;
    } catch (std::runtime_error &) {
        return -1;
    }
}

int call_once()
{
    static std::once_flag flag;
    static std::atomic<int> calls;
    int mine = 5;

    std::call_once(flag, [&] {
        nap();
        calls += mine;
    });
    return calls;
}

int call_once_that_fails()
{
    static std::once_flag flag;
    static std::atomic<int> calls;
    int mine = 3, *where = nullptr;

    try {
        std::call_once(flag, [&] {
            nap();
            where = &mine;
            if (calls++ < 2)
                throw 1;
        });
    } catch (int) {
        return where == &mine ? -1 : -100; // who throws is who has called
    }
    return where == nullptr || where == &mine ? 1 : -200;
}

int mutex()
{
    static std::mutex lock;

    return alone(lock);
}

int recursive_mutex()
{
    static std::recursive_mutex lock;
    std::unique_lock other(lock, std::try_to_lock); // only the owner gets in again

    if (other)
        other.unlock();
    return alone(lock);
}

int timed_mutex()
{
    static std::timed_mutex lock;
    int good = 1;

    for (int i = 0; i < 5; i++) {
        if (!lock.try_lock_for(20s))
            return 0;
        nap(2);
        lock.unlock();
    }
    return good;
}

int shared_mutex()
{
    static std::shared_mutex lock;
    static std::atomic<int> readers;
    static int writers;
    int good = 1;

    for (int i = 0; i < 5; i++) {
        {
            std::shared_lock guard(lock);
            readers++;
            good &= writers == 0;
            nap(2);
            readers--;
        }
        std::unique_lock guard(lock);
        writers++;
        nap(1);
        good &= readers == 0 && writers == 1;
        writers--;
    }
    return good;
}

int shared_timed_mutex()
{
    static std::shared_timed_mutex lock;

    if (!lock.try_lock_shared_for(20s))
        return 0;
    nap(2);
    lock.unlock_shared();
    if (!lock.try_lock_until(std::chrono::steady_clock::now() + 20s)) // pthread_rwlock_clockwrlock
        return 0;
    nap(2);
    lock.unlock();
    return 1;
}

int condition(int count)
{
    static std::mutex lock;
    static std::condition_variable changed;
    static int here;
    std::unique_lock guard(lock);
    int last = ++here == count;

    if (last)
        changed.notify_all();
    changed.wait(guard, [&] { return here >= count; });
    return last;
}

int condition_times_out()
{
    std::mutex lock;
    std::condition_variable changed;
    std::unique_lock guard(lock);

    return changed.wait_for(guard, 30ms) == std::cv_status::timeout;
}

int promise(int first)
{
    static std::promise<int> source;
    static std::shared_future<int> result(source.get_future());

    if (first) {
        nap();
        source.set_value(11);
    }
    return result.get() + (result.wait_for(1ms) == std::future_status::ready);
}

int async()
{
    auto result = std::async(std::launch::async, [] {
        nap();
        return 9;
    });

    return result.wait_for(1ms) == std::future_status::timeout ? result.get() : -1;
}

int latch(int count)
{
    static std::latch gate(count);

    nap(2);
    gate.arrive_and_wait();
    return 1;
}

int barrier(int count)
{
    static std::atomic<int> rounds;
    static auto done = []() noexcept { rounds++; };
    static std::barrier<decltype(done)> gate(count, done);

    for (int i = 0; i < 20; i++) {
        if (i % 7 == 0)
            nap(1);
        gate.arrive_and_wait();
    }
    return rounds;
}

int semaphore()
{
    static std::counting_semaphore<8> places(2);
    static std::atomic<int> inside;
    int good = 1;

    for (int i = 0; i < 5; i++) {
        if (i % 2)
            places.acquire();
        else if (!places.try_acquire_for(20s))
            return 0;
        good &= ++inside <= 2;
        nap(2);
        inside--;
        places.release();
    }
    return good;
}

int atomic_wait(int count)
{
    static std::atomic<int> number; // a word of the kernel
    static std::atomic<char> small; // one that libstdc++ stands for by a word of its own

    for (int i = 0; i < 20; i++) {
        int seen = number, turn = i * count;

        if (++number == turn + count)
            number.notify_all();
        while ((seen = number) < turn + count)
            number.wait(seen);
    }
    if (number == 20 * count) {
        small = 1;
        small.notify_all();
    }
    small.wait(0);
    return small;
}

int thread_joins()
{
    int result = 0;
    std::thread other([&] {
        nap();
        result = 8;
    });

    other.join();
    return result;
}
}
