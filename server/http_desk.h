/* http_desk.h - the request threads, the requests that wait without one, and the clock that wakes both.
 *
 *     submitted -> queued -> handled -> answered
 *                    ^          |
 *                    +- parked <      parked -> queued: desk_ring, the deadline, desk_stop
 *
 * A ring while a handler looks is not lost: its request is queued again instead of parked.
 *
 * Threads: every function from any thread, but init, start, stop and done, which belong to the owner.
 */
#ifndef TAILOR_HTTP_DESK_H
#define TAILOR_HTTP_DESK_H

#include "server/http_socket.h"
#include <pthread.h>

enum { DESK_THREADS = 16 }; /* as many writes share one commit of the store */

/* Part of a request; owned by the desk from desk_submit until answered(). */
struct desk_item {
    struct desk_item *next;
    int64_t submitted_ns, deadline_ns; /* monotonic */
    uint64_t rings;                    /* desk->rings when its handler began */
    bool last;                         /* for handle(): this call must answer */
};

struct desk {
    /* Set before desk_start. handle() works on a request thread and returns 0 when the answer is ready, else how many
     * seconds after its submission to park at most. answered() takes the item back; neither holds a lock. */
    double (*handle)(struct desk_item *item);
    void (*answered)(struct desk_item *item);
    size_t parked_max; /* beyond, requests are answered instead of parked */

    pthread_t threads[DESK_THREADS], timer;
    size_t n_threads;
    bool timer_runs;
    pthread_mutex_t lock; /* guards everything below, peers included */
    pthread_cond_t work;  /* the queue has something, or ended */
    pthread_cond_t tick;  /* a deadline is earlier than the timer knows, or ended */
    pthread_cond_t idle;  /* n_busy fell to 0 */
    struct desk_queue {
        struct desk_item *first, *last;
    } ready, parked;
    size_t n_parked, n_busy; /* n_busy: submitted and not yet answered */
    struct peers peers;
    int64_t tick_ns; /* when the timer looks next */
    uint64_t rings;
    bool stopping; /* nothing is taken or parked any more */
    bool ended;    /* the threads go home */
};

void desk_init(struct desk *desk);
void desk_done(struct desk *desk);
TL_MUST_CHECK enum tl_rc desk_start(struct desk *desk, struct tl_err *err);
/* Answer everything (every call is a last one), then end the threads. */
void desk_stop(struct desk *desk);

/* False: the desk has stopped, the item stays the caller's. */
bool desk_submit(struct desk *desk, struct desk_item *item);
void desk_ring(struct desk *desk); /* something changed: handle what is parked again */

/* Clients and their deadlines, see http_socket.h. `seconds` from now; negative: no deadline. Peers may be NULL. */
struct peer *desk_peer_add(struct desk *desk, int socket, double seconds);
void desk_peer_allow(struct desk *desk, struct peer *peer, double seconds);
void desk_peer_remove(struct desk *desk, struct peer *peer);

#endif
