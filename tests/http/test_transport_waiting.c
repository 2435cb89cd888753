/* http.h and time: slow senders, requests that wait, stopping, many clients at once. */
#include "tests/http/transport_fixture.h"

#include <pthread.h>

/* ---- slowness ------------------------------------------------------------------------------------------------ */

static void a_slow_sender_is_cut_off_at_its_deadline(void **state)
{
    static const char *const beginnings[] = {
        "",                                                                       /* says nothing */
        "POST /ec",                                                               /* never ends its headers */
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab", /* never ends its body */
    };
    struct running running;
    (void)state;
    start(&running, 64, 0.2);
    for (size_t i = 0; i < TL_COUNT_OF(beginnings); i++) {
        char answer[1024];
        int wire = wire_open(running.port);
        int64_t begin_ns = tl_clock_mono_ns();
        wire_send(wire, beginnings[i]);
        wire_read_all(wire, answer, sizeof answer);
        close(wire);
        assert_true(tl_clock_mono_ns() - begin_ns < INT64_C(10000000000));
    }
    assert_int_equal(handled, 0);
    TL_AUTO(reply) reply = {0};
    http_call(running.port, "POST", "/echo", "still here", &reply);
    assert_status(&reply, 200);
    http_free(running.http);
}

static void a_parked_request_is_not_a_slow_one(void **state)
{
    struct running running;
    TL_AUTO(reply) reply = {0};
    (void)state;
    start(&running, 64, 0.05);
    http_do(running.port, &(struct request){.method = "GET", .path = "/wait", .headers = {"Prefer: wait=0.3"}}, &reply);
    assert_status(&reply, 204);
    http_free(running.http);
}

/* ---- waiting ------------------------------------------------------------------------------------------------- */

struct waiter {
    uint16_t port;
    const char *prefer;
    struct reply reply;
    pthread_t thread;
};

static void *waiter_run(void *arg)
{
    struct waiter *waiter = arg;
    http_do(waiter->port, &(struct request){.method = "GET", .path = "/wait", .headers = {waiter->prefer}},
            &waiter->reply);
    return NULL;
}

static void waiter_start(struct waiter *waiter, uint16_t port, const char *prefer)
{
    *waiter = (struct waiter){.port = port, .prefer = prefer};
    assert_int_equal(pthread_create(&waiter->thread, NULL, waiter_run, waiter), 0);
}

/* Until /wait has been looked at `calls` times. */
static void calls_reach(int calls)
{
    while (waiting_calls < calls) {
        tl_sleep_ns(1000000);
    }
}

static void a_wait_ends_at_once_when_the_bell_rings_and_something_is_there(void **state)
{
    const struct running *running = *state;
    struct waiter waiter;
    waiter_start(&waiter, running->port, "Prefer: respond-async, wait=20");
    calls_reach(1);
    http_ring(running->http); /* for nothing: it is parked again */
    calls_reach(2);
    there = true;
    int64_t begin_ns = tl_clock_mono_ns();
    http_ring(running->http);
    pthread_join(waiter.thread, NULL);
    assert_true(tl_clock_mono_ns() - begin_ns < INT64_C(10000000000));
    assert_status(&waiter.reply, 200);
    assert_string_equal(waiter.reply.body.data, "there /made/7"); /* what it had made is known when it goes on */
    reply_done(&waiter.reply);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    const struct running *running = *state;
    TL_AUTO(reply) reply = {0};
    int64_t begin_ns = tl_clock_mono_ns();
    http_do(running->port, &(struct request){.method = "GET", .path = "/wait", .headers = {"Prefer: wait=0.1"}},
            &reply);
    assert_status(&reply, 204);
    assert_int_equal(waiting_calls, 2);
    assert_true(tl_clock_mono_ns() - begin_ns >= 100000000);
}

static void a_ring_while_the_handler_looks_is_not_lost(void **state)
{
    const struct running *running = *state;
    for (int round = 0; round < 50; round++) {
        struct waiter waiter;
        there = false;
        waiting_calls = 0;
        waiter_start(&waiter, running->port, "Prefer: wait=20");
        if (round % 2) {
            calls_reach(1);
        }
        there = true;
        http_ring(running->http);
        pthread_join(waiter.thread, NULL);
        assert_status(&waiter.reply, 200);
        reply_done(&waiter.reply);
    }
}

static void beyond_the_room_for_parking_waits_are_answered_as_they_stand(void **state)
{
    struct running running;
    struct waiter waiters[4];
    (void)state;
    start(&running, 10, 0); /* four of ten connections may wait */
    for (size_t i = 0; i < TL_COUNT_OF(waiters); i++) {
        waiter_start(&waiters[i], running.port, "Prefer: wait=20");
        calls_reach((int)i + 1);
    }
    TL_AUTO(reply) reply = {0};
    int64_t begin_ns = tl_clock_mono_ns();
    http_do(running.port, &(struct request){.method = "GET", .path = "/wait", .headers = {"Prefer: wait=20"}}, &reply);
    assert_status(&reply, 204);
    assert_true(tl_clock_mono_ns() - begin_ns < INT64_C(10000000000));
    there = true;
    http_ring(running.http);
    for (size_t i = 0; i < TL_COUNT_OF(waiters); i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_status(&waiters[i].reply, 200);
        reply_done(&waiters[i].reply);
    }
    http_free(running.http);
}

static void stopping_answers_what_waits(void **state)
{
    struct running running;
    struct waiter waiters[3];
    (void)state;
    start(&running, 64, 0);
    for (size_t i = 0; i < TL_COUNT_OF(waiters); i++) {
        waiter_start(&waiters[i], running.port, "Prefer: wait=20");
    }
    calls_reach(3);
    int64_t begin_ns = tl_clock_mono_ns();
    http_stop(running.http);
    assert_true(tl_clock_mono_ns() - begin_ns < INT64_C(1500000000)); /* nobody had to be waited for */
    for (size_t i = 0; i < TL_COUNT_OF(waiters); i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_status(&waiters[i].reply, 204);
        reply_done(&waiters[i].reply);
    }
    http_ring(running.http); /* without effect, and harmless */
    http_free(running.http);
}

static void a_waiting_client_that_died_does_not_hold_up_the_end(void **state)
{
    struct running running;
    (void)state;
    start(&running, 64, 0);
    int wire = wire_open(running.port);
    wire_send(wire, "GET /wait HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=100\r\n\r\n");
    calls_reach(1);
    close(wire);
    int64_t begin_ns = tl_clock_mono_ns();
    http_free(running.http);
    assert_true(tl_clock_mono_ns() - begin_ns < INT64_C(1500000000));
}

/* ---- many ---------------------------------------------------------------------------------------------------- */

enum { CLIENTS = 16, CALLS = 50 };

static atomic_int own_answers;

static void *many_run(void *arg)
{
    const struct running *running = arg;
    for (int i = 0; i < CALLS; i++) {
        char text[64];
        TL_AUTO(reply) reply = {0};
        (void)snprintf(text, sizeof text, "call %d of %p", i, (void *)&reply);
        http_call(running->port, "POST", "/echo", text, &reply);
        own_answers += reply.status == 200 && strcmp(reply.body.data, text) == 0;
    }
    return NULL;
}

static void many_clients_get_their_own_answers(void **state)
{
    struct running *running = *state;
    pthread_t threads[CLIENTS];
    own_answers = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, many_run, running), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(own_answers, CLIENTS * CALLS);
    assert_int_equal(handled, CLIENTS * CALLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_sender_is_cut_off_at_its_deadline),
        cmocka_unit_test(a_parked_request_is_not_a_slow_one),
        served(a_wait_ends_at_once_when_the_bell_rings_and_something_is_there),
        served(a_wait_ends_at_its_deadline),
        served(a_ring_while_the_handler_looks_is_not_lost),
        cmocka_unit_test(beyond_the_room_for_parking_waits_are_answered_as_they_stand),
        cmocka_unit_test(stopping_answers_what_waits),
        cmocka_unit_test(a_waiting_client_that_died_does_not_hold_up_the_end),
        served(many_clients_get_their_own_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
