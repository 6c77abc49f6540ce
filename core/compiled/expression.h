/* Formulas that a client wrote, as steps over registers: core/expressions/program.py.

   A register is a stretch of numbers. x is read where it lies; parameters, constants and slots are in this thread's room.
   The table (int32) has five entries for each step, opcode, register written, registers read, then the outputs.
   n = numbers per row, steps, parameters, constants, slots; p = x, table, parameters, constants (double), and what each says */

enum { NEG, ADD, SUB, MUL, DIV, POW, EXP, LOG, SQRT, SIN, COS, TANH_, SIGMOID_, ABS, MIN, MAX, LT, LE, GT, GE, EQ, WHERE,
       EXPM1, LOG1P, ERF /* these three are in no formula: tests reach the functions by them */ };

#define SUM_BLOCK 1024 /* numbers of which a sum is made: core/compiled/expressions.py has it too */

typedef struct {
    const int32_t *table;
    int64_t steps, length; /* of a register */
    const real *x;
    real *others; /* the registers behind x */
} Machine;

INLINE int64_t first_slot(const Operation *o) { return 1 + o->n[2] + o->n[3]; }

INLINE Machine machine(const Operation *o, const Thread *t) {
    int64_t registers = first_slot(o) + o->n[4], length = least(256, PANELS / registers / LANES * LANES);
    Machine m = {o->p[1], o->n[1], length, 0, t->room};
    for (int64_t i = 0; i < o->n[2] + o->n[3]; i++) {
        real value = i < o->n[2] ? NUMBERS(2)[i] : (real)((const double *)o->p[3])[i - o->n[2]];
        for (int64_t j = 0; j < length; j++) m.others[i * length + j] = value;
    }
    return m;
}

INLINE const real *reg(const Machine *m, int64_t number) { return number ? m->others + (number - 1) * m->length : m->x; }
INLINE const real *output(const Machine *m, int64_t number) { return reg(m, m->table[5 * m->steps + number]); }

INLINE vec one_or_zero(wvec yes) { return pick(yes, all(1), (vec){}); }

/* All steps for the first n numbers of the registers. */
static void compute(const Machine *m, int64_t n) {
    for (int64_t step = 0; step < m->steps; step++) {
        const int32_t *entry = m->table + 5 * step;
        real *to = m->others + (entry[1] - 1) * m->length;
        const real *from[3];
        for (int i = 0; i < 3; i++) from[i] = reg(m, entry[2 + i]);
#define A load(from[0] + j)
#define B load(from[1] + j)
#define CASE(name, value) case name: for (int64_t j = 0; j < n; j += LANES) store(to + j, value); break;
        switch (entry[0]) {
            CASE(NEG, -A)
            CASE(ADD, A + B)
            CASE(SUB, A - B)
            CASE(MUL, A * B)
            CASE(DIV, A / B)
            CASE(POW, vpower(A, B))
            CASE(EXP, vexp(A))
            CASE(LOG, vlog(A))
            CASE(SQRT, __builtin_elementwise_sqrt(A))
            CASE(SIN, vsin(A))
            CASE(COS, vcos(A))
            CASE(TANH_, vtanh(A))
            CASE(SIGMOID_, vsigmoid(A))
            CASE(ABS, magnitude(A))
            CASE(MIN, pick((A < B) | (A != A), A, B))
            CASE(MAX, pick((A > B) | (A != A), A, B))
            CASE(LT, one_or_zero(A < B))
            CASE(LE, one_or_zero(A <= B))
            CASE(GT, one_or_zero(A > B))
            CASE(GE, one_or_zero(A >= B))
            CASE(EQ, one_or_zero(A == B))
            CASE(WHERE, pick(A != 0, B, load(from[2] + j)))
            CASE(EXPM1, vexpm1_negative(A))
            CASE(LOG1P, vlog1p(A))
            CASE(ERF, verf(A))
        }
#undef A
#undef B
#undef CASE
    }
}

/* p[4] = y */
OPERATION(expression_forward) {
    Share mine = share(batch->n * o->n[0], SUM_BLOCK, t->part, t->parts);
    Machine m = machine(o, t);
    for (int64_t i = mine.from; i < mine.to; i += m.length) {
        int64_t n = least(m.length, mine.to - i);
        m.x = NUMBERS(0) + i;
        compute(&m, n);
        memcpy(NUMBERS(4) + i, output(&m, 0), (size_t)n * sizeof(real));
    }
}

/* dx = dy f_x, and for each parameter the sums of dy f_p over blocks; p[4] = dy, dx or null, sums (blocks, parameters; double) */
OPERATION(expression_backward) {
    Share mine = share(batch->n * o->n[0], SUM_BLOCK, t->part, t->parts);
    Machine m = machine(o, t);
    real *dx = NUMBERS(5);
    for (int64_t block = mine.from; block < mine.to; block += SUM_BLOCK) {
        double *sums = (double *)o->p[6] + block / SUM_BLOCK * o->n[2];
        int64_t end = least(block + SUM_BLOCK, mine.to);
        for (int64_t p = 0; p < o->n[2]; p++) sums[p] = 0;
        for (int64_t i = block; i < end; i += m.length) {
            int64_t n = least(m.length, end - i);
            const real *dy = NUMBERS(4) + i;
            m.x = NUMBERS(0) + i;
            compute(&m, n);
            const real *slope = output(&m, 0);
            if (dx) for (int64_t j = 0; j < n; j += LANES) store_some(dx + i + j, load(dy + j) * load(slope + j), n - j);
            for (int64_t p = 0; p < o->n[2]; p++) {
                const real *other = output(&m, 1 + p);
                vec sum = {};
                for (int64_t j = 0; j < n; j += LANES) sum += first_lanes(load(dy + j) * load(other + j), n - j);
                sums[p] += (double)sum_of(sum);
            }
        }
    }
}

/* n as in expression_backward; p = sums of the blocks (double), gradients of the parameters */
OPERATION(expression_gradients) {
    if (t->part) return;
    int64_t blocks = (batch->n * o->n[0] + SUM_BLOCK - 1) / SUM_BLOCK;
    for (int64_t p = 0; p < o->n[2]; p++) {
        double sum = 0;
        for (int64_t i = 0; i < blocks; i++) sum += ((const double *)o->p[0])[i * o->n[2] + p];
        NUMBERS(1)[p] = (real)sum;
    }
}
