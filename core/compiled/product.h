/* The matrix product: c = a b, every c[i][j] a chain of fused multiply-adds over k = 0, 1, 2, ... in this order.

   How the matrices are cut into tiles changes only the speed. A tile of c stays in registers while k runs; b is laid out
   in panels as wide as a tile where that pays, so that it is read from the nearest cache (K. Goto, R. van de Geijn, "Anatomy of
   high-performance matrix multiplication", ACM TOMS 34, 2008). */

#if defined(__AVX512F__)
#define TILE_ROWS 12
#define TILE_VECS 2
#else
#define TILE_ROWS 6
#define TILE_VECS 1
#endif
#define TILE_COLUMNS (TILE_VECS * LANES)
#define DEPTH 256 /* of a panel: DEPTH x TILE_COLUMNS stays in the first-level cache */
#define WIDTH 512
#define HEIGHT 96
#define PANELS (DEPTH * (WIDTH + 2 * 32) + DEPTH * (HEIGHT + 16)) /* numbers of room that a thread needs */

typedef struct {
    const real *at;
    int64_t row, column; /* distances between neighbours, in numbers */
} Matrix;

INLINE const real *entry(Matrix m, int64_t i, int64_t j) { return m.at + i * m.row + j * m.column; }

/* c[rows][columns] (+)= a b for one tile: `rows` is a constant wherever this is expanded. */
INLINE void tile(int rows, int64_t depth, const real *a, int64_t a_row, int64_t a_column, const real *b, int64_t b_row, real *c,
                 int64_t c_row, int64_t columns, int first) {
    vec sum[TILE_ROWS][TILE_VECS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < TILE_VECS; v++)
            sum[i][v] = first ? (vec){} : load(c + i * c_row + v * LANES);
    for (int64_t k = 0; k < depth; k++) {
        vec line[TILE_VECS];
        for (int v = 0; v < TILE_VECS; v++) line[v] = load(b + k * b_row + v * LANES);
        for (int i = 0; i < rows; i++) {
            vec x = all(a[i * a_row + k * a_column]);
            for (int v = 0; v < TILE_VECS; v++) sum[i][v] = fma_(x, line[v], sum[i][v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < TILE_VECS; v++)
            if (columns > v * LANES) store_some(c + i * c_row + v * LANES, sum[i][v], columns - v * LANES);
}

static void tiles(int64_t rows, int64_t depth, const real *a, int64_t a_row, int64_t a_column, const real *b, int64_t b_row, real *c,
                  int64_t c_row, int64_t columns, int first) {
#define CASE(n) case n: tile(n, depth, a, a_row, a_column, b, b_row, c, c_row, columns, first); break;
    switch (rows) {
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#if TILE_ROWS > 6
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#endif
    }
#undef CASE
}

/* b's columns [from, to) and rows [k, k + depth) as panels, zeros behind the last column. */
static void pack_columns(Matrix b, int64_t k, int64_t depth, int64_t from, int64_t to, real *panel) {
    for (int64_t j = from; j < to; j += TILE_COLUMNS, panel += depth * TILE_COLUMNS) {
        int64_t columns = least(TILE_COLUMNS, to - j);
        if (b.column == 1)
            for (int64_t p = 0; p < depth; p++)
                for (int v = 0; v < TILE_VECS; v++)
                    store(panel + p * TILE_COLUMNS + v * LANES, load(entry(b, k + p, j + v * LANES)));
        else
            for (int64_t p = 0; p < depth; p += LANES)
                for (int64_t column = 0; column < TILE_COLUMNS; column++)
                    for (int64_t q = p; q < least(depth, p + LANES); q++)
                        panel[q * TILE_COLUMNS + column] = column < columns ? *entry(b, k + q, j + column) : 0;
    }
}

/* a's rows [from, to) and columns [k, k + depth) as strips of TILE_ROWS, each strip column by column. */
static void pack_rows(Matrix a, int64_t k, int64_t depth, int64_t from, int64_t to, real *strip) {
    for (int64_t i = from; i < to; i += TILE_ROWS, strip += depth * TILE_ROWS) {
        int64_t rows = least(TILE_ROWS, to - i);
        for (int64_t p = 0; p < depth; p++)
            for (int64_t row = 0; row < rows; row++) strip[p * TILE_ROWS + row] = *entry(a, i + row, k + p);
    }
}

/* c (rows x columns) = a (rows x depth) b (depth x columns); `room` is for PANELS numbers of this thread.
   b may be read up to one tile behind its last entry. */
static void product(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, real *c, int64_t c_row, real *room) {
    int pack_b = b.column != 1 || (columns > 2 * TILE_COLUMNS && rows > 2 * TILE_ROWS);
    int pack_a = columns > 4 * TILE_COLUMNS && rows > TILE_ROWS;
    real *strips = room + DEPTH * (WIDTH + 2 * 32);
    for (int64_t j = 0; j < columns; j += WIDTH) {
        int64_t width = least(WIDTH, columns - j);
        for (int64_t k = 0; k < depth; k += DEPTH) {
            int64_t deep = least(DEPTH, depth - k);
            if (pack_b) pack_columns(b, k, deep, j, j + width, room);
            for (int64_t i = 0; i < rows; i += HEIGHT) {
                int64_t high = least(HEIGHT, rows - i);
                if (pack_a) pack_rows(a, k, deep, i, i + high, strips);
                for (int64_t q = 0; q < width; q += TILE_COLUMNS) {
                    const real *right = pack_b ? room + q * deep : entry(b, k, j + q);
                    int64_t b_row = pack_b ? TILE_COLUMNS : b.row;
                    for (int64_t p = 0; p < high; p += TILE_ROWS) {
                        const real *left = pack_a ? strips + p * deep : entry(a, i + p, k);
                        tiles(least(TILE_ROWS, high - p), deep, left, pack_a ? 1 : a.row, pack_a ? TILE_ROWS : a.column, right, b_row,
                              c + (i + p) * c_row + j + q, c_row, least(TILE_COLUMNS, width - q), k == 0);
                    }
                }
            }
        }
    }
}
