/* What an operation is handed. A plan is a table of them; core/compiled/library.py writes it, with the same fields. */

typedef struct {
    int32_t code, kind;
    int64_t n[10]; /* sizes, in numbers */
    void *p[12];   /* places */
    double v[6];   /* values */
} Operation;

/* The batch that is being worked on; all threads read it, thread 0 alone writes it. */
typedef struct {
    int64_t n;              /* rows */
    const int64_t *rows;    /* their places in the dataset; behind them those of the next batches, for prefetching */
    int64_t known;          /* how many places there are, n and those behind */
    int64_t epoch, step;
    uint64_t seed;
    const double *scalars;  /* of the optimizer, for this step */
    int64_t width;          /* how many these are, with the rate behind them */
    double rate;            /* the learning rate */
    int failed;             /* set by count and norm where a number is not finite */
} Batch;

/* One of the threads: part `part` of `parts`, with room of its own. */
typedef struct {
    int part, parts;
    real *room;
} Thread;

#define OPERATION(name) static void name(const Operation *o, Batch *batch __attribute__((unused)), const Thread *t)
#define NUMBERS(i) ((real *)o->p[i])

INLINE int finite(double x) { return x - x == 0; }

/* out[0 .. columns) = the sums over rows of m (rows x columns), in the order of the rows. */
INLINE void sum_rows(const real *m, int64_t rows, int64_t row, int64_t from, int64_t to, real *out) {
    for (int64_t j = from; j < to; j += LANES) {
        vec sum = {};
        for (int64_t i = 0; i < rows; i++) sum += load(m + i * row + j);
        store_some(out + j, sum, to - j);
    }
}
