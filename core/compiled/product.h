/* The matrix product: c = a b, every c[i][j] a chain of fused multiply-adds over k = 0, 1, 2, ... in this order.

   How the matrices are cut into tiles changes only the speed. A tile of c stays in registers while k runs; b is laid out
   in panels as wide as a tile where that pays, so that it is read from the nearest cache (K. Goto, R. van de Geijn, "Anatomy of
   high-performance matrix multiplication", ACM TOMS 34, 2008). */

#if defined(__AVX512F__)
#define TILE_ROWS 12
#else
#define TILE_ROWS 6
#endif
#define TILE_PARTS 2
#define TILE_COLUMNS (TILE_PARTS * PART)
#define DEPTH 320 /* of a panel: DEPTH x TILE_COLUMNS stays in the first-level cache */
#define WIDTH BLOCK
#define HEIGHT (16 * TILE_ROWS)
/* Numbers of room that a thread needs, the same for all processors: panels, strips, lines of a gradient that moves. */
#define PANELS (DEPTH * (WIDTH + 32) + DEPTH * (16 * 12 + 16) + LINES * WIDTH + 16)

/* Its rows lie in a row (column = 1), or its columns do (row = 1). */
typedef struct {
    const real *at;
    int64_t row, column; /* distances between neighbours, in numbers */
} Matrix;

INLINE const real *entry(Matrix m, int64_t i, int64_t j) { return m.at + i * m.row + j * m.column; }

/* The beginning of piece i where `count` is cut into the fewest pieces of at most `most`, as equal as can be. */
INLINE int64_t pieces_of(int64_t count, int64_t most) { return (count + most - 1) / most; }
INLINE int64_t piece(int64_t count, int64_t most, int64_t i) { return count * i / pieces_of(count, most); }

/* One tile of c = a b, plus what stands at `start` unless that is null: `rows`, `wide` and whether a row or a column of a lies
   in a row are constants wherever this is expanded. */
INLINE void tile(int rows, int wide, int64_t depth, const real *a, int64_t a_row, int64_t a_column, const real *b, int64_t b_row,
                 const real *start, int64_t start_row, real *c, int64_t c_row, int64_t columns) {
    part sum[TILE_ROWS][TILE_PARTS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < wide; v++) sum[i][v] = start ? load_part(start + i * start_row + v * PART) : (part){};
    for (int64_t k = 0; k < depth; k++, a += a_column, b += b_row) {
        part line[TILE_PARTS];
        for (int v = 0; v < wide; v++) line[v] = load_part(b + v * PART);
        for (int i = 0; i < rows; i++) {
            part x = a[i * a_row] - (part){};
            for (int v = 0; v < wide; v++) sum[i][v] = __builtin_elementwise_fma(x, line[v], sum[i][v]);
        }
    }
    if (columns >= wide * PART) {
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < wide; v++) store_part(c + i * c_row + v * PART, sum[i][v]);
        return;
    }
    part whole[TILE_ROWS][TILE_PARTS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < wide; v++) whole[i][v] = sum[i][v];
#pragma clang loop unroll(disable) /* else the ends alone would be most of the code */
    for (int i = 0; i < rows; i++) store_few(c + i * c_row, whole[i], columns);
}

/* A column of tiles. */
typedef struct {
    int64_t depth;
    Matrix a;
    int64_t strip; /* where a is laid out in strips: the distance of two of them; else 0 */
    const real *b;
    int64_t b_row;
    real *c;
    int64_t c_row, columns;
    const real *start; /* what is added, or null; as far apart as start_row */
    int64_t start_row;
} Column;

INLINE void equal_tiles(int rows, int wide, int along, int64_t count, const Column *t) {
    const real *a = t->a.at, *start = t->start;
    real *c = t->c;
    int64_t next = t->strip ? t->strip : rows * t->a.row;
    for (int64_t s = 0; s < count; s++, a += next, c += rows * t->c_row, start += start ? rows * t->start_row : 0)
        tile(rows, wide, t->depth, a, along ? t->a.row : 1, along ? 1 : t->a.column, t->b, t->b_row, start, t->start_row, c, t->c_row,
             t->columns);
}

static void tiles(int64_t rows, int64_t count, const Column *t) {
    switch (4 * rows + 2 * (t->columns <= PART) + (t->a.column == 1)) {
#define CASE(n) \
        case 4 * n: equal_tiles(n, 2, 0, count, t); break; case 4 * n + 1: equal_tiles(n, 2, 1, count, t); break; \
        case 4 * n + 2: equal_tiles(n, 1, 0, count, t); break; case 4 * n + 3: equal_tiles(n, 1, 1, count, t); break;
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#if TILE_ROWS > 6
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#endif
#undef CASE
    }
}

/* Rows are cut into the fewest strips, as equal as can be: `more` of few + 1 rows, then those of few. */
typedef struct { int64_t count, few, more; } Strips;
INLINE Strips strips_of(int64_t rows) {
    int64_t count = pieces_of(rows, TILE_ROWS);
    return (Strips){count, rows / count, rows % count};
}

static void column(int64_t rows, Column t) {
    if (!rows) return;
    Strips s = strips_of(rows);
    if (s.more) tiles(s.few + 1, s.more, &t);
    int64_t done = s.more * (s.few + 1);
    t.a.at += t.strip ? s.more * t.strip : done * t.a.row, t.c += done * t.c_row;
    if (t.start) t.start += done * t.start_row;
    tiles(s.few, s.count - s.more, &t);
}

/* m[i][j] becomes m[j][i]: shuffling the two halves of the rows as a deck of cards, until it is done. */
INLINE void transpose(part m[PART]) {
#define HALF (PART / 2)
    for (int size = 1; size < PART; size *= 2) {
        part next[PART];
        for (int i = 0; i < HALF; i++)
            for (int j = 0; j < HALF; j++) {
                next[2 * i][2 * j] = m[i][j], next[2 * i][2 * j + 1] = m[i + HALF][j];
                next[2 * i + 1][2 * j] = m[i][j + HALF], next[2 * i + 1][2 * j + 1] = m[i + HALF][j + HALF];
            }
        for (int i = 0; i < PART; i++) m[i] = next[i];
    }
#undef HALF
}

/* b's columns [from, to) and rows [k, k + depth) as panels as wide as a tile, the last one perhaps half as wide. Behind the
   last column anything may stand. */
static void pack_columns(Matrix b, int64_t k, int64_t depth, int64_t from, int64_t to, real *panel) {
    for (int64_t j = from; j < to; j += TILE_COLUMNS, panel += depth * TILE_COLUMNS) {
        int64_t wide = least(TILE_PARTS, parts_of(to - j)), step = wide * PART;
        if (b.column == 1) {
            const real *line = entry(b, k, j);
            if (wide == 2) for (int64_t p = 0; p < depth; p++) {
                part x = load_part(line + p * b.row), y = load_part(line + p * b.row + PART);
                store_part(panel + p * step, x), store_part(panel + p * step + PART, y);
            }
            else for (int64_t p = 0; p < depth; p++) store_part(panel + p * PART, load_part(line + p * b.row));
            continue;
        }
        for (int64_t p = 0; p < depth; p += PART)
            for (int64_t v = 0; v < wide; v++) {
                part m[PART];
                for (int64_t i = 0; i < PART; i++) m[i] = load_part(entry(b, k + p, least(j + v * PART + i, to - 1)));
                transpose(m);
                for (int64_t i = 0; i < PART; i++)
                    if (p + i < depth) store_part(panel + (p + i) * step + v * PART, m[i]);
            }
    }
}

/* a's rows [from, from + rows) and columns [k, k + depth) as strips, each column by column; a's columns lie in a row. */
static void pack_rows(Matrix a, int64_t from, int64_t rows, int64_t k, int64_t depth, real *strip) {
    Strips s = strips_of(rows);
    for (int64_t n = 0, i = from; n < s.count; i += s.few + (n < s.more), n++)
        for (int64_t p = 0; p < depth; p++, strip += TILE_ROWS)
            for (int64_t v = 0; v < TILE_ROWS; v += PART) store_part(strip + v, load_part(entry(a, i + v, k + p)));
}

/* c (rows x columns) = a (rows x depth) b (depth x columns); `room` is for PANELS numbers of this thread.
   a and b may be read up to one tile behind their last entries.

   Where c is the gradient of a matrix from line `first` on, that may be `moving` along it at once; then c is only room for sums
   that are not complete. */
static void product_and_move(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, real *c, int64_t c_row, real *room,
                             const Moving *moving, int64_t first) {
    int pack_b = b.column != 1 || (columns > 2 * TILE_COLUMNS && rows > 2 * TILE_ROWS);
    int pack_a = a.column != 1 && columns > 2 * TILE_COLUMNS && rows > TILE_ROWS;
    int64_t height = moving ? LINES : HEIGHT;
    real *strips = room + DEPTH * (WIDTH + 32), *lines = strips + DEPTH * (16 * 12 + 16);
    for (int64_t j = 0; j < columns; j += WIDTH) {
        int64_t width = least(WIDTH, columns - j);
        for (int64_t d = 0; d < pieces_of(depth, DEPTH); d++) {
            int64_t k = piece(depth, DEPTH, d), deep = piece(depth, DEPTH, d + 1) - k;
            int now = moving && k + deep == depth;
            if (pack_b) pack_columns(b, k, deep, j, j + width, room);
            for (int64_t h = 0; h < pieces_of(rows, height); h++) {
                int64_t i = moving ? h * LINES : piece(rows, HEIGHT, h);
                int64_t high = (moving ? least(rows, i + LINES) : piece(rows, HEIGHT, h + 1)) - i;
                if (pack_a) pack_rows(a, i, high, k, deep, strips);
                for (int64_t q = 0; q < width; q += TILE_COLUMNS) {
                    real *there = c + i * c_row + j + q;
                    Column t = {.depth = deep, .a = {entry(a, i, k), a.row, a.column}, .b = entry(b, k, j + q), .b_row = b.row,
                                .c = now ? lines + q : there, .c_row = now ? width : c_row, .columns = least(TILE_COLUMNS, width - q),
                                .start = d ? there : 0, .start_row = c_row};
                    if (pack_b) t.b = room + q * deep, t.b_row = t.columns > PART ? TILE_COLUMNS : PART;
                    if (pack_a) t.a = (Matrix){strips, 1, TILE_ROWS}, t.strip = deep * TILE_ROWS;
                    column(high, t);
                }
                if (now) move_lines(moving, first + i, j, high, width, lines);
            }
        }
    }
}

static void product(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, real *c, int64_t c_row, real *room) {
    product_and_move(rows, columns, depth, a, b, c, c_row, room, 0, 0);
}
