/* The counter-based generator of core/random.py, bit for bit: see there. */

typedef uint64_t words __attribute__((vector_size(64)));

/* Ten rounds over eight counters at once: block .. block + 7; out[i] has the four words of block + i. */
INLINE void philox(uint64_t seed, uint64_t block, uint32_t step, uint32_t epoch, uint32_t place, words out[4]) {
    words low = (words){} + 0xFFFFFFFF;
    words c0 = ((words){0, 1, 2, 3, 4, 5, 6, 7} + block) & low, c1 = (words){} + step, c2 = (words){} + epoch, c3 = (words){} + place;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int turn = 0; turn < 10; turn++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
        words p0 = c0 * 0xD2511F53, p1 = c2 * 0xCD9E8D57;
        c0 = (p1 >> 32) ^ c1 ^ k0;
        c1 = p1 & low;
        c2 = (p0 >> 32) ^ c3 ^ k1;
        c3 = p0 & low;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

#define PURPOSE_LAYER 4
