/* The compiled form of training: a table of operations, run batch after batch without coming back to Python.

   Several threads share each operation and meet after it. Who does which part changes no bit: parts are of the output,
   never of a sum. */

#include "system.h"
#include "numbers.h"
#include "elementary.h"
#include "random.h"
#include "shuffle.h"
#include "decimals.h"
#include "operations.h"
#include "move.h"
#include "product.h"
#include "elementwise.h"
#include "softmax.h"
#include "panels.h"
#include "recurrent.h"
#include "lstm.h"
#include "gru.h"
#include "attention.h"
#include "embedding.h"
#include "powers.h"
#include "trigonometry.h"
#include "expression.h"
#include "dense.h"
#include "convolution.h"
#include "pooling.h"
#include "winners.h"
#include "dropout.h"
#include "gather.h"
#include "sparse.h"
#include "losses.h"
#include "norms.h"
#include "restraints.h"

typedef void Function(const Operation *, Batch *, const Thread *);
static Function *const FUNCTIONS[] = {
#define OPERATION_NAME(name) name,
#include "names.h"
#undef OPERATION_NAME
};

/* What Python hands over; core/compiled/library.py has the same fields. */
typedef struct {
    const Operation *operations;
    int64_t count;
    const int64_t *order;    /* the rows of the epoch in their order */
    int64_t rows, batch;     /* of the epoch; of a full batch */
    int64_t done, steps;     /* rows done before; batches to do now */
    int64_t epoch, step;     /* of the first batch */
    uint64_t seed;
    const double *scalars;   /* (steps, width): those of the optimizer, then the learning rate */
    int64_t width;
    real *rooms;             /* PANELS numbers for each thread */
    int64_t threads;
    int64_t failed;          /* out: 1 + the number of the batch whose cost or gradient is not finite, or 0 */
} Run;

typedef struct {
    Run *run;
    Batch batch;
    int32_t waiting, turn;
    int32_t go; /* 1 when all have been started, -1 when they could not be */
} Crew;

typedef struct { Crew *crew; int part; } Member;

/* All threads wait for each other. They spin, since an operation takes microseconds, and give way when it takes long. */
static void meet(Crew *crew) {
    if (crew->run->threads == 1) return;
    int32_t turn = __atomic_load_n(&crew->turn, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&crew->waiting, 1, __ATOMIC_ACQ_REL) == crew->run->threads) {
        __atomic_store_n(&crew->waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&crew->turn, turn + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&crew->turn, __ATOMIC_ACQUIRE) == turn; spins++)
        if (spins > 4096) sched_yield();
}

/* Only these two can fail, and operations lie between them: so all threads see the failure at the same place. */
static int may_fail(const Operation *o) { return FUNCTIONS[o->code] == count || FUNCTIONS[o->code] == norm; }

static void *work(void *argument) {
    Member *member = argument;
    Crew *crew = member->crew;
    Run *run = crew->run;
    while (!__atomic_load_n(&crew->go, __ATOMIC_ACQUIRE)) sched_yield();
    if (crew->go < 0) return 0;
    Thread thread = {member->part, (int)run->threads, run->rooms + member->part * PANELS};
    uint64_t mode = flush_small_numbers();
    for (int64_t step = 0; step < run->steps && !crew->batch.failed; step++) {
        if (!member->part) {
            int64_t done = run->done + step * run->batch;
            crew->batch = (Batch){.n = least(run->batch, run->rows - done), .rows = run->order + done, .known = run->rows - done,
                                  .epoch = run->epoch, .step = run->step + step, .seed = run->seed,
                                  .scalars = run->scalars ? run->scalars + step * run->width : 0, .width = run->width,
                                  .rate = run->scalars ? run->scalars[(step + 1) * run->width - 1] : 0};
        }
        meet(crew);
        for (int64_t i = 0; i < run->count; i++) {
            const Operation *o = run->operations + i;
            FUNCTIONS[o->code](o, &crew->batch, &thread);
            meet(crew);
            if (may_fail(o) && crew->batch.failed) {
                if (!member->part) run->failed = step + 1;
                break;
            }
        }
        meet(crew);
    }
    set_mode(mode);
    return 0;
}

enum { MOST_THREADS = 256 };

/* Run `steps` batches. 0, or the number of threads that could be started where those are too few. */
EXPORT int64_t nudge_run(Run *run) {
    unsigned long threads[MOST_THREADS];
    Member members[MOST_THREADS];
    Crew crew = {.run = run};
    run->failed = 0;
    int64_t started = 1;
    for (int part = 0; part < run->threads; part++) members[part] = (Member){&crew, part};
    while (started < run->threads && !pthread_create(&threads[started], 0, work, &members[started])) started++;
    __atomic_store_n(&crew.go, started == run->threads ? 1 : -1, __ATOMIC_RELEASE);
    work(&members[0]);
    for (int64_t part = 1; part < started; part++) pthread_join(threads[part], 0);
    return started == run->threads ? 0 : started;
}

EXPORT int64_t nudge_room(void) { return PANELS * (int64_t)sizeof(real); }
EXPORT int64_t nudge_operation_size(void) { return sizeof(Operation); }
