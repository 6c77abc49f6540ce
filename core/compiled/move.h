/* How the numbers of theta move along their gradient: penalties and decay of core/regularization.py, then the step of
   core/optimizers.py.

   An operation that moves has v = the optimizer's constants (3), l1, l2, decay; batch->scalars are those of the step, of
   which the first is the rate, as core/compiled/objectives.py states them. */

enum { SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADADELTA, ADAM, NADAM };

typedef struct {
    vec rate, a, b, epsilon, not_a, not_b, root, of_g, of_m; /* rate is negative */
    vec l1, l2, kept;
    int pulled; /* whether there are penalties or decay */
} Rule;

static Rule rule_of(const Operation *o, const Batch *batch) {
    const double *s = batch->scalars, *v = o->v;
    int adam = batch->width > 2, nadam = batch->width > 3;
    return (Rule){.rate = all((real)-s[0]), .a = all((real)v[0]), .b = all((real)v[1]), .epsilon = all((real)v[2]),
                  .not_a = all((real)(1 - v[0])), .not_b = all((real)(1 - v[1])), .root = all((real)(adam ? s[1] : 0)),
                  .of_g = all((real)(nadam ? s[2] : 0)), .of_m = all((real)(nadam ? s[3] : 0)), .l1 = all((real)v[3]),
                  .l2 = all((real)v[4]), .kept = all((real)(1 - batch->rate * v[5])), .pulled = v[3] || v[4] || v[5]};
}

/* The first `left` numbers at w, with gradient d and memory at m and u. `kind` and `pulled` are constants wherever this is
   expanded. */
INLINE void move(int kind, int pulled, const Rule *p, real *w, real *m, real *u, vec d, int64_t left) {
    vec x = load(w);
    if (pulled) {
        vec sign = pick(x > 0, all(1), pick(x < 0, all(-1), x));
        d = fma_(x, p->l2, fma_(sign, p->l1, d));
        x *= p->kept;
    }
#define PUT(to, v) store_some(to, v, left)
#define ROOT(x) __builtin_elementwise_sqrt(x)
#define MOVE(along) vec next = fma_(along, p->rate, x); PUT(w, next)
    switch (kind) {
        case SGD: { MOVE(d); break; }
        case MOMENTUM: { vec v = fma_(load(m), p->a, d); PUT(m, v); MOVE(v); break; }
        case NESTEROV: { vec v = fma_(load(m), p->a, d); PUT(m, v); MOVE(fma_(v, p->a, d)); break; }
        case ADAGRAD: { vec q = fma_(d, d, load(m)); PUT(m, q); MOVE(d / (ROOT(q) + p->epsilon)); break; }
        case RMSPROP: { vec q = fma_(load(m), p->a, d * d * p->not_a); PUT(m, q); MOVE(d / (ROOT(q) + p->epsilon)); break; }
        case ADADELTA: {
            vec q = fma_(load(m), p->a, d * d * p->not_a), moved = load(u);
            vec along = d * ROOT(moved + p->epsilon) / ROOT(q + p->epsilon);
            vec far = fma_(moved, p->a, along * along * p->not_a);
            PUT(m, q); PUT(u, far); MOVE(along);
            break;
        }
        case ADAM: { /* the scalars: the rate over 1 - beta1^t, and 1 / sqrt(1 - beta2^t) */
            vec mean = fma_(load(m), p->a, d * p->not_a), q = fma_(load(u), p->b, d * d * p->not_b);
            PUT(m, mean); PUT(u, q); MOVE(mean / fma_(ROOT(q), p->root, p->epsilon));
            break;
        }
        case NADAM: { /* besides: the shares of gradient and mean, with the rate in them */
            vec mean = fma_(load(m), p->a, d * p->not_a), q = fma_(load(u), p->b, d * d * p->not_b);
            vec next = x - fma_(d, p->of_g, mean * p->of_m) / fma_(ROOT(q), p->root, p->epsilon);
            PUT(m, mean); PUT(u, q); PUT(w, next);
            break;
        }
    }
#undef PUT
#undef ROOT
#undef MOVE
}

#define EACH_KIND(CASE) CASE(SGD) CASE(MOMENTUM) CASE(NESTEROV) CASE(ADAGRAD) CASE(RMSPROP) CASE(ADADELTA) CASE(ADAM) CASE(NADAM)

/* The squares of numbers in a row, summed in eight lanes of double. */
typedef double doubles __attribute__((vector_size(64)));
typedef struct { doubles chains[4]; double rest; } Squares;

#define CHAINS 32 /* numbers that are added at once */
INLINE void add_chains(Squares *s, const real *g) {
    for (int chain = 0; chain < 4; chain++) {
        doubles x;
        for (int q = 0; q < 8; q++) x[q] = (double)g[chain * 8 + q];
        s->chains[chain] = __builtin_elementwise_fma(x, x, s->chains[chain]);
    }
}
INLINE void add_rest(Squares *s, const real *g, int64_t n) {
    for (int64_t i = 0; i < n; i++) s->rest += (double)g[i] * (double)g[i];
}
INLINE double total(const Squares *s) {
    doubles both = (s->chains[0] + s->chains[1]) + (s->chains[2] + s->chains[3]);
    double sum = s->rest;
    for (int q = 0; q < 8; q++) sum += both[q];
    return sum;
}

/* n numbers in a row, whose squares are added to `squares` unless that is null: a function for each kind, without pulls and
   with them. */
typedef void Mover(const Rule *p, real *w, real *m, real *u, const real *g, int64_t n, Squares *squares);
#define MOVER(kind, pulled) \
    static void move_##kind##_##pulled(const Rule *p, real *w, real *m, real *u, const real *g, int64_t n, Squares *squares) { \
        const Rule rule = *p; \
        int64_t i = 0; \
        if (squares) { \
            Squares sum = *squares; \
            for (; i + CHAINS <= n; i += CHAINS) { \
                add_chains(&sum, g + i); \
                for (int64_t v = i; v < i + CHAINS; v += LANES) move(kind, pulled, &rule, w + v, m + v, u + v, load(g + v), LANES); \
            } \
            add_rest(&sum, g + i, n - i); \
            *squares = sum; \
        } \
        for (; i + LANES <= n; i += LANES) move(kind, pulled, &rule, w + i, m + i, u + i, load(g + i), LANES); \
        if (i < n) move(kind, pulled, &rule, w + i, m + i, u + i, load(g + i), n - i); \
    }
#define MOVERS(kind) MOVER(kind, 0) MOVER(kind, 1)
EACH_KIND(MOVERS)
#undef MOVERS
#undef MOVER

static Mover *mover_of(int kind, int pulled) {
    switch (kind) {
#define CASE(kind) case kind: return pulled ? move_##kind##_1 : move_##kind##_0;
        EACH_KIND(CASE)
#undef CASE
    }
    return 0;
}

/* n = numbers; p = theta, gradient, memory, more memory */
OPERATION(update) {
    Share mine = share(o->n[0], 1024, t->part, t->parts);
    int64_t i = mine.from;
    Rule rule = rule_of(o, batch);
    if (i < mine.to)
        mover_of(o->kind, rule.pulled)(&rule, NUMBERS(0) + i, NUMBERS(2) + i, NUMBERS(3) + i, NUMBERS(1) + i, mine.to - i, 0);
}

/* A matrix that moves as soon as some lines of its gradient are found, while those are near.

   n = lines, columns; kind: 0 where the gradient is only stored, else 1 + that of the optimizer;
   p[1] = the matrix, p[8], p[9] = memory, p[10] = sums of squares (double): of each LINES lines, of BLOCK columns. Pieces of the
   gradient begin and end with these, whoever finds them, so that the sums have the same bits. */
#define LINES 48
#define BLOCK 512

typedef struct {
    const Operation *o;
    Rule rule;
    Mover *mover;
} Moving;

static Moving moving_of(const Operation *o, const Batch *batch) {
    if (!o->kind) return (Moving){.o = o};
    Moving s = {.o = o, .rule = rule_of(o, batch)};
    s.mover = mover_of(o->kind - 1, s.rule.pulled);
    return s;
}

/* The gradient g of the lines from i on and the columns from j on, one line behind the other. */
static void move_lines(const Moving *s, int64_t i, int64_t j, int64_t lines, int64_t columns, const real *g) {
    const Operation *o = s->o;
    int64_t row = o->n[1], blocks = (row + BLOCK - 1) / BLOCK;
    for (int64_t end = i + lines; i < end; i += LINES)
        for (int64_t n = least(LINES, end - i), q = 0; q < columns; q += BLOCK) {
            Squares squares = {};
            int64_t width = least(BLOCK, columns - q), length = width == row ? n * row : width;
            for (int64_t r = 0; r < (width == row ? 1 : n); r++) {
                const real *from = g + r * columns + q;
                int64_t at = (i + r) * row + j + q;
                s->mover(&s->rule, NUMBERS(1) + at, NUMBERS(8) + at, NUMBERS(9) + at, from, length, &squares);
            }
            ((double *)o->p[10])[i / LINES * blocks + (j + q) / BLOCK] = total(&squares);
            if (q + BLOCK >= columns) g += n * columns;
        }
}
