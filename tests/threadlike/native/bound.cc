// bound.cc: an extension module made with pybind11, whose functions wait and call back. pybind11 keeps the objects that
// live during a call, and what a call_guard is, in thread-locals.
#include <pybind11/pybind11.h>
#include <unistd.h>

namespace py = pybind11;

namespace {

struct thing {
    int number;
    explicit thing(int n) : number(n)
    {
    }
};

// How many there are in this thread.
struct guard {
    static thread_local int depth;
    guard()
    {
        depth++;
        usleep(1000);
    }
    ~guard()
    {
        usleep(1000);
        depth--;
    }
};
thread_local int guard::depth = 0;

int wait_for(int milliseconds)
{
    usleep(milliseconds * 1000);
    return guard::depth;
}

// The thing may be made of an int for the length of the call.
int with_thing(const thing &t, const py::function &callback)
{
    return callback(t.number).cast<int>() + t.number;
}

int without_gil(const py::function &callback)
{
    py::gil_scoped_release release;
    usleep(1000);
    py::gil_scoped_acquire acquire;
    return callback().cast<int>();
}

void raises(const py::function &callback)
{
    try {
        callback();
    } catch (py::error_already_set &) {
        usleep(1000);
        throw;
    }
}

} // namespace

PYBIND11_MODULE(bound, m)
{
    py::class_<thing>(m, "thing").def(py::init<int>());
    py::implicitly_convertible<int, thing>();
    m.def("wait_for", wait_for, py::call_guard<py::gil_scoped_release>());
    m.def("guarded", wait_for, py::call_guard<guard>());
    m.def("guarded_without_gil", wait_for, py::call_guard<py::gil_scoped_release, guard>());
    m.def("with_thing", with_thing);
    m.def("without_gil", without_gil);
    m.def("raises", raises);
}
