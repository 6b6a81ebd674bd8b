"""The part of CPython's own tests that is quick, under syncless-python; suite.py runs all of it (make test-python)."""
import concurrent.futures

import pytest

import suite
from scripted import SANITIZED

QUICK = {
    "main": """test_queue test_thread test_threading test_threading_local test_select test_epoll test_context test_time
        test_httplib test_httpservers test_urllib2_localnet test_socketserver test_smtplib test_poplib test_os
        test_posix
        test_sys_settrace test_gc test_ctypes test_signal:*StressTest* test_signal:*Wakeup* test_signal:*Pending*
        test_subprocess:*POSIX*""",
    "threads": "test_queue test_thread test_threading test_threading_local test_socketserver",
    "spawned": """test_queue test_thread test_threading test_threading_local test_select test_epoll test_context
        test_httplib test_socketserver test_poplib test_ftplib test_io""",
}
if SANITIZED:
    QUICK = {"main": "test_thread test_threading_local test_select test_context", "spawned": "test_thread test_select"}
CASES = [(mode, module) for mode, modules in QUICK.items() for module in modules.split()]
AT_A_TIME = 2


@pytest.fixture(scope="module")
def checks(request):
    """All that were asked for under way, to be awaited one by one."""
    cases = [item.callspec.params for item in request.session.items if item.originalname == "test_cpython"]
    plain, exceptions = suite.plain_python(), suite.read_exceptions()
    pool = concurrent.futures.ThreadPoolExecutor(AT_A_TIME)
    yield {(case["mode"], case["module"]): pool.submit(suite.Check(case["module"], case["mode"], plain, exceptions).run)
           for case in cases}
    pool.shutdown(cancel_futures=True)


@pytest.mark.limit(180)  # test_threading takes 35 s, on a busy machine
@pytest.mark.parametrize("mode, module", CASES)
def test_cpython(checks, mode, module):
    check = checks[mode, module].result()
    print(check.summary())
    if check.first.absent and not check.bad:
        pytest.skip(f"this CPython comes without {module}")
    assert not check.bad, check.summary()
