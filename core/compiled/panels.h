/* A matrix that many products share, laid out once: panels as wide as a tile, one behind the other. */

/* n = rows, columns; kind: 1 to lay out the transpose of p[0] (columns, rows) instead of p[0] (rows, columns); p[1] = panels */
OPERATION(lay_out) {
    int64_t rows = o->n[0], columns = o->n[1];
    Share mine = share(columns, TILE_COLUMNS, t->part, t->parts);
    Matrix b = o->kind ? (Matrix){NUMBERS(0), 1, rows} : (Matrix){NUMBERS(0), columns, 1};
    pack_columns(b, 0, rows, mine.from, mine.to, NUMBERS(1) + mine.from * rows);
}

/* c (rows, columns) += a (rows, depth) b, with b in panels */
static void add_product(int64_t rows, int64_t columns, int64_t depth, const real *a, const real *panels, real *c) {
    for (int64_t k = 0; k < depth; k += DEPTH)
        for (int64_t j = 0; j < columns; j += TILE_COLUMNS) {
            int64_t left = least(TILE_COLUMNS, columns - j), b_row = left > PART ? TILE_COLUMNS : PART;
            Column t = {.depth = least(DEPTH, depth - k), .a = {a + k, depth, 1}, .b = panels + j * depth + k * b_row, .b_row = b_row,
                        .c = c + j, .c_row = columns, .columns = left, .start = c + j, .start_row = columns};
            column(rows, t);
        }
}
