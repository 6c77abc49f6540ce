/* The two types of numbers, and vectors of them.

   Everything here is compiled twice, with `real` as float and as double. A `vec` is 64 bytes, one AVX-512 register or two
   of AVX2; the compiler splits it where registers are smaller. No result depends on that: sums run in an order that the
   source alone fixes, products are fused into them by fma() where written and nowhere else (-ffp-contract=off), and no
   function of the system's library is called. So a plan gives the same bits on every processor with fused multiply-add. */

#ifdef DOUBLE
typedef double real;
typedef int64_t whole;
#else
typedef float real;
typedef int32_t whole;
#endif

#define LANES ((int64_t)(64 / sizeof(real)))
typedef real vec __attribute__((vector_size(64)));
typedef whole wvec __attribute__((vector_size(64)));
typedef real loose __attribute__((vector_size(64), aligned(sizeof(real)), may_alias));

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const real *from) { return *(const loose *)from; }
INLINE void store(real *to, vec v) { *(loose *)to = v; }
INLINE vec all(real x) { return x - (vec){}; }
INLINE vec fma_(vec a, vec b, vec c) { return __builtin_elementwise_fma(a, b, c); }

/* What one register holds. */
#if defined(__AVX512F__)
#define PART LANES
#else
#define PART (LANES / 2)
#endif
typedef real part __attribute__((vector_size(PART * sizeof(real))));
typedef real loose_part __attribute__((vector_size(PART * sizeof(real)), aligned(sizeof(real)), may_alias));
INLINE part load_part(const real *from) { return *(const loose_part *)from; }
INLINE void store_part(real *to, part x) { *(loose_part *)to = x; }
INLINE int64_t parts_of(int64_t columns) { return (columns + PART - 1) / PART; }

/* The first n of up to 31 numbers. */
INLINE void store_few(real *to, const void *numbers, int64_t n) {
    const real *from = numbers;
#define PIECE(size) if (n & size) { memcpy(to, from, size * sizeof(real)); to += size, from += size; }
    PIECE(16) PIECE(8) PIECE(4) PIECE(2) PIECE(1)
#undef PIECE
}

/* The ends of rows that are no multiple of LANES. What lies behind may be read, never written (core/memory.py). */
INLINE void store_some(real *to, vec v, int64_t n) {
    if (n >= LANES) store(to, v);
    else store_few(to, &v, n);
}
INLINE void store_some_part(real *to, part x, int64_t n) {
    if (n >= PART) store_part(to, x);
    else store_few(to, &x, n);
}

INLINE vec pick(wvec yes, vec a, vec b) { return (vec)(((wvec)a & yes) | ((wvec)b & ~yes)); }
INLINE real sum_of(vec v) {
    real s = 0;
    for (int i = 0; i < LANES; i++) s += v[i];
    return s;
}
/* The first n lanes of v, zeros behind them. */
INLINE vec first_lanes(vec v, int64_t n) {
    for (int64_t i = n; i < LANES; i++) v[i] = 0;
    return v;
}
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* One thread's share [from, to) of `count` things, in units of `grain`. */
typedef struct { int64_t from, to; } Share;
INLINE Share share(int64_t count, int64_t grain, int part, int parts) {
    int64_t units = (count + grain - 1) / grain;
    return (Share){least(count, units * part / parts * grain), least(count, units * (part + 1) / parts * grain)};
}
