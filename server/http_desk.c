/* http_desk.c - see http_desk.h. */
#include "server/http_desk.h"

#include <math.h>
#include <time.h>

enum { WAIT_MAX_S = 600 };

static const int64_t NS_PER_S = 1000000000;

static void queue_push(struct desk_queue *queue, struct desk_item *item)
{
    item->next = NULL;
    if (queue->last) {
        queue->last->next = item;
    } else {
        queue->first = item;
    }
    queue->last = item;
}

static struct desk_item *queue_pop(struct desk_queue *queue)
{
    struct desk_item *item = queue->first;
    if (item) {
        queue->first = item->next;
        queue->last = queue->first ? queue->last : NULL;
    }
    return item;
}

/* Under the lock: the timer looks at `deadline_ns` at the latest. */
static void tick_by(struct desk *desk, int64_t deadline_ns)
{
    if (deadline_ns < desk->tick_ns) {
        pthread_cond_signal(&desk->tick);
    }
}

/* Under the lock: queue what is parked with a deadline of at most `until_ns`. */
static void parked_release(struct desk *desk, int64_t until_ns)
{
    struct desk_queue parked = desk->parked;
    desk->parked = (struct desk_queue){0};
    desk->n_parked = 0;
    for (struct desk_item *item; (item = queue_pop(&parked));) {
        bool due = item->deadline_ns <= until_ns;
        queue_push(due ? &desk->ready : &desk->parked, item);
        desk->n_parked += !due;
    }
    if (desk->ready.first) {
        pthread_cond_broadcast(&desk->work);
    }
}

/* ---- request threads ----------------------------------------------------------------------------------------- */

/* Under the lock: `wait_s` after its submission is when the item must be answered. */
static void item_park(struct desk *desk, struct desk_item *item, double wait_s)
{
    item->deadline_ns = item->submitted_ns + (int64_t)(fmin(wait_s, WAIT_MAX_S) * (double)NS_PER_S);
    bool ring_missed = item->rings != desk->rings;
    if (ring_missed || desk->stopping) {
        queue_push(&desk->ready, item);
        pthread_cond_signal(&desk->work);
    } else {
        queue_push(&desk->parked, item);
        desk->n_parked++;
        tick_by(desk, item->deadline_ns);
    }
}

/* Under the lock, which is let go meanwhile: one call of the handler and what follows from it. */
static void item_serve(struct desk *desk, struct desk_item *item)
{
    item->rings = desk->rings;
    item->last = desk->stopping || desk->n_parked >= desk->parked_max || tl_clock_mono_ns() >= item->deadline_ns;
    pthread_mutex_unlock(&desk->lock);
    double wait_s = desk->handle(item);
    bool parks = wait_s > 0 && !item->last;
    if (!parks) {
        desk->answered(item);
    }
    pthread_mutex_lock(&desk->lock);
    if (parks) {
        item_park(desk, item, wait_s);
    } else if (--desk->n_busy == 0) {
        pthread_cond_broadcast(&desk->idle);
    }
}

static void *thread_run(void *arg)
{
    struct desk *desk = arg;
    pthread_mutex_lock(&desk->lock);
    while (!desk->ended) {
        struct desk_item *item = queue_pop(&desk->ready);
        if (item) {
            item_serve(desk, item);
        } else {
            pthread_cond_wait(&desk->work, &desk->lock);
        }
    }
    pthread_mutex_unlock(&desk->lock);
    return NULL;
}

/* ---- timer --------------------------------------------------------------------------------------------------- */

/* Under the lock: serve what is due; the earliest deadline left. */
static int64_t deadlines_serve(struct desk *desk)
{
    int64_t now_ns = tl_clock_mono_ns();
    parked_release(desk, now_ns);
    int64_t next_ns = peers_shut(&desk->peers, now_ns);
    for (struct desk_item *item = desk->parked.first; item; item = item->next) {
        next_ns = item->deadline_ns < next_ns ? item->deadline_ns : next_ns;
    }
    return next_ns;
}

static void *timer_run(void *arg)
{
    struct desk *desk = arg;
    pthread_mutex_lock(&desk->lock);
    while (!desk->ended) {
        desk->tick_ns = deadlines_serve(desk);
        if (desk->tick_ns == INT64_MAX) {
            pthread_cond_wait(&desk->tick, &desk->lock);
        } else {
            struct timespec until = {.tv_sec = (time_t)(desk->tick_ns / NS_PER_S),
                                     .tv_nsec = (long)(desk->tick_ns % NS_PER_S)};
            pthread_cond_timedwait(&desk->tick, &desk->lock, &until);
        }
    }
    pthread_mutex_unlock(&desk->lock);
    return NULL;
}

/* ---- for the owner ------------------------------------------------------------------------------------------- */

void desk_init(struct desk *desk)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&desk->lock, NULL);
    pthread_cond_init(&desk->work, NULL);
    pthread_cond_init(&desk->tick, &monotonic);
    pthread_cond_init(&desk->idle, NULL);
    pthread_condattr_destroy(&monotonic);
}

void desk_done(struct desk *desk)
{
    pthread_cond_destroy(&desk->work);
    pthread_cond_destroy(&desk->tick);
    pthread_cond_destroy(&desk->idle);
    pthread_mutex_destroy(&desk->lock);
}

enum tl_rc desk_start(struct desk *desk, struct tl_err *err)
{
    desk->timer_runs = pthread_create(&desk->timer, NULL, timer_run, desk) == 0;
    while (desk->timer_runs && desk->n_threads < DESK_THREADS &&
           pthread_create(&desk->threads[desk->n_threads], NULL, thread_run, desk) == 0) {
        desk->n_threads++;
    }
    return desk->n_threads == DESK_THREADS ? TL_OK : tl_fail(err, TL_NO_MEMORY, "cannot start the request threads");
}

void desk_stop(struct desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    desk->stopping = true;
    parked_release(desk, INT64_MAX);
    while (desk->n_busy > 0) {
        pthread_cond_wait(&desk->idle, &desk->lock);
    }
    desk->ended = true;
    pthread_cond_broadcast(&desk->work);
    pthread_cond_broadcast(&desk->tick);
    pthread_mutex_unlock(&desk->lock);
    for (; desk->n_threads > 0; desk->n_threads--) {
        pthread_join(desk->threads[desk->n_threads - 1], NULL);
    }
    if (desk->timer_runs) {
        pthread_join(desk->timer, NULL);
        desk->timer_runs = false;
    }
}

bool desk_submit(struct desk *desk, struct desk_item *item)
{
    item->submitted_ns = tl_clock_mono_ns();
    item->deadline_ns = INT64_MAX;
    pthread_mutex_lock(&desk->lock);
    bool taken = !desk->stopping;
    if (taken) {
        desk->n_busy++;
        queue_push(&desk->ready, item);
        pthread_cond_signal(&desk->work);
    }
    pthread_mutex_unlock(&desk->lock);
    return taken;
}

void desk_ring(struct desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    desk->rings++;
    parked_release(desk, INT64_MAX);
    pthread_mutex_unlock(&desk->lock);
}

static int64_t after(double seconds)
{
    return seconds < 0 ? INT64_MAX : tl_clock_mono_ns() + (int64_t)(seconds * (double)NS_PER_S);
}

struct peer *desk_peer_add(struct desk *desk, int socket, double seconds)
{
    int64_t deadline_ns = after(seconds);
    pthread_mutex_lock(&desk->lock);
    struct peer *peer = peers_add(&desk->peers, socket, deadline_ns);
    tick_by(desk, deadline_ns);
    pthread_mutex_unlock(&desk->lock);
    return peer;
}

void desk_peer_allow(struct desk *desk, struct peer *peer, double seconds)
{
    if (peer) {
        pthread_mutex_lock(&desk->lock);
        peer->deadline_ns = after(seconds);
        tick_by(desk, peer->deadline_ns);
        pthread_mutex_unlock(&desk->lock);
    }
}

void desk_peer_remove(struct desk *desk, struct peer *peer)
{
    pthread_mutex_lock(&desk->lock);
    peers_remove(&desk->peers, peer);
    pthread_mutex_unlock(&desk->lock);
}
