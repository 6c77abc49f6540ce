/* Random.permutation of core/random.py, bit for bit: each index in the low bits of a random word, the words sorted. */

#define DIGIT 11 /* bits that a pass sorts by */
#define FEW 256  /* sorted by insertion */

/* The numbers 0 .. count - 1 shuffled, in `words`; `room` is as long. */
EXPORT void nudge_permutation(uint64_t seed, uint32_t epoch, uint32_t place, int64_t count, uint64_t *words_, uint64_t *room) {
    int bits = 0;
    while (bits < 63 && (count - 1) >> bits > 0) bits++;
    uint64_t low = ((uint64_t)1 << bits) - 1;
    for (int64_t i = 0; i < count; i += 16) {
        words drawn[4];
        philox(seed, (uint64_t)i / 2, 0, epoch, place, drawn);
        for (int64_t q = 0; q < least(16, count - i); q++) {
            uint64_t word = drawn[q % 2 * 2][q / 2] << 32 | drawn[q % 2 * 2 + 1][q / 2];
            words_[i + q] = (word & ~low) | (uint64_t)(i + q);
        }
    }
    /* By their highest digits, from the lower to the higher, each pass keeping the order of the one before: so many digits that
       hardly two words share them. */
    uint64_t *from = words_, *to = room;
    int digits = count <= FEW ? 0 : bits <= 2 * DIGIT ? 2 : 4;
    for (int shift = 64 - digits * DIGIT; shift < 64; shift += DIGIT) {
        int64_t starts[(1 << DIGIT) + 1] = {0};
        for (int64_t i = 0; i < count; i++) starts[(from[i] >> shift & ((1 << DIGIT) - 1)) + 1]++;
        for (int digit = 0; digit < 1 << DIGIT; digit++) starts[digit + 1] += starts[digit];
        for (int64_t i = 0; i < count; i++) to[starts[from[i] >> shift & ((1 << DIGIT) - 1)]++] = from[i];
        uint64_t *swap = from;
        from = to, to = swap;
    }
    /* What is left to do is little. */
    for (int64_t i = 1; i < count; i++) {
        uint64_t word = from[i];
        int64_t j = i;
        for (; j > 0 && from[j - 1] > word; j--) from[j] = from[j - 1];
        from[j] = word;
    }
    for (int64_t i = 0; i < count; i++) words_[i] = from[i] & low;
}
