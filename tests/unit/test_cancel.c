/* test_cancel.c: cancelling a request before its handler returns, and what its result means then: http/cancel.c. */
#include "http_test.h"

#include "http/cancel.h"
#include "http/response/response.h"

static struct scene scene;
static struct wait_timeouts deadlines;
static int cancels;

static int setup(void **state)
{
    loop_setup(state);
    cancel_init(NULL);
    cancel_deadlines(&deadlines, 30);
    return 0;
}

static void cancel_handler(struct request *req)
{
    cancels++;
    wait_cancel(req->coro, -ECANCELED);
}

static void begin_counting(bool timed, bool if_gone, enum deadline_counts counts)
{
    static struct request_limits limits;

    limits = (struct request_limits){
        .deadlines = timed ? &deadlines : NULL,
        .counts = counts,
        .if_gone = if_gone,
        .cancel = cancel_handler,
    };
    scene_open(&scene, SOCK_STREAM);
    scene.req.view.method = "GET";
    scene.req.view.target = "/";
    scene.req.limits = &limits;
    cancels = 0;
    cancel_start(&scene.req);
}

static void begin(bool timed, bool if_gone)
{
    begin_counting(timed, if_gone, COUNTS_APPLICATION);
}

static int sleep_ms(int ms)
{
    return wait_sleep(wait_deadline(ms * MS));
}

static void is_in_time(void *arg)
{
    begin(true, false);
    assert_true(scene.req.view.deadline > wait_now() / 1000000);
    assert_int_equal(cancel_stop(&scene.req, 0), 0);
    assert_int_equal(sleep_ms(100), 0);
    assert_int_equal(cancels, 0);
    scene_close(&scene);
}

static void takes_too_long(void *arg)
{
    begin(true, false);
    assert_int_equal(sleep_ms(5000), -ECANCELED);
    assert_int_equal(sleep_ms(5000), -ECANCELED); /* it tries again */
    assert_int_equal(cancels, 1);
    assert_int_equal(cancel_stop(&scene.req, -ECANCELED), 504);
    assert_int_equal(sleep_ms(200), 0);
    assert_int_equal(cancels, 1);
    scene_close(&scene);
}

/* The result counts if the handler has answered nevertheless. */
static void answers_late(void *arg)
{
    begin(true, false);
    assert_int_equal(sleep_ms(5000), -ECANCELED);
    assert_int_equal(cancel_stop(&scene.req, 0), 504);
    scene_close(&scene);
    begin(true, false);
    assert_int_equal(sleep_ms(5000), -ECANCELED);
    scene.req.head_sent = true;
    assert_int_equal(cancel_stop(&scene.req, 0), 0);
    scene_close(&scene);
}

/* Where only the time until then counts, a response that has begun may take as long as it likes. */
static void has_begun_to_answer(void *arg)
{
    begin_counting(true, false, COUNTS_TO_RESPONSE);
    assert_true(scene.req.view.deadline > 0);
    scene.req.view.http_minor = 1;
    assert_int_equal(response_flush(&scene.req), 0);
    assert_int_equal(scene.req.view.deadline, 0);
    assert_int_equal(sleep_ms(100), 0);
    client_wait_begin(scene.out.client_wait);
    client_wait_end(scene.out.client_wait);
    assert_int_equal(sleep_ms(100), 0);
    assert_int_equal(scene.req.view.deadline, 0);
    assert_int_equal(cancel_stop(&scene.req, 0), 0);
    assert_int_equal(cancels, 0);
    scene_close(&scene);
    begin_counting(true, false, COUNTS_TO_RESPONSE);
    assert_int_equal(sleep_ms(5000), -ECANCELED);
    assert_int_equal(cancel_stop(&scene.req, -ECANCELED), 504);
    scene_close(&scene);
}

/* A cancellation that no wait has seen is not left to the next request on the stack. */
static void does_not_wait(void *arg)
{
    begin(false, true);
    cancel_gone(&scene.req);
    assert_int_equal(cancels, 1);
    assert_int_equal(cancel_stop(&scene.req, 0), 499);
    assert_int_equal(sleep_ms(1), 0);
    scene_close(&scene);
}

static void has_left_before(void *arg)
{
    scene_open(&scene, SOCK_STREAM);
    scene.source.seen = POLLRDHUP;
    scene.req.limits = &(struct request_limits){.if_gone = true, .cancel = cancel_handler};
    cancels = 0;
    cancel_start(&scene.req);
    assert_int_equal(sleep_ms(5000), -ECANCELED);
    assert_int_equal(cancel_stop(&scene.req, -ECANCELED), 499);
    scene_close(&scene);
}

static void nobody_minds(void *arg)
{
    begin(false, false);
    cancel_gone(&scene.req);
    assert_int_equal(cancels, 0);
    assert_int_equal(cancel_stop(&scene.req, -EIO), -EIO);
    cancel_gone(&scene.req); /* after the end */
    assert_int_equal(cancels, 0);
    scene_close(&scene);
}

#define TEST(fn)                                                                                                       \
    static void test_##fn(void **state)                                                                                \
    {                                                                                                                  \
        on_coroutine(fn, NULL);                                                                                        \
    }

TEST(is_in_time)
TEST(takes_too_long)
TEST(answers_late)
TEST(has_begun_to_answer)
TEST(does_not_wait)
TEST(has_left_before)
TEST(nobody_minds)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_in_time),    cmocka_unit_test(test_takes_too_long),
        cmocka_unit_test(test_answers_late),  cmocka_unit_test(test_has_begun_to_answer),
        cmocka_unit_test(test_does_not_wait), cmocka_unit_test(test_has_left_before),
        cmocka_unit_test(test_nobody_minds),
    };

    return cmocka_run_group_tests(tests, setup, loop_teardown);
}
