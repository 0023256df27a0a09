/* The scan behind the volume breakout in plain C: the yardstick for the compiled Python of kernels/setups_breakout.py.
 * Same rule, same order of floating-point operations, so that the setups are equal to the last bit.
 * Returns the number of setups; arrays are as long as the candles, values holds three figures per setup. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define LONGEST_RUN 5
#define DUST 1e-9

static double larger(double a, double b) { return a > b ? a : b; }
static double smaller(double a, double b) { return a < b ? a : b; }

static void average_true_range(const double *high, const double *low, const double *close, int64_t count, int64_t period,
                               double *result) {
    for (int64_t row = 0; row < count && row < period; row++) result[row] = NAN;
    if (count <= period) return;
    double average = 0.0;
    for (int64_t row = 1; row <= period; row++)
        average += larger(high[row], close[row - 1]) - smaller(low[row], close[row - 1]);
    average /= period;
    result[period] = average;
    double weight = 1.0 / period, keep = 1.0 - weight;
    for (int64_t row = period + 1; row < count; row++) {
        double spread = larger(high[row], close[row - 1]) - smaller(low[row], close[row - 1]);
        average = keep * average + weight * spread;
        result[row] = average;
    }
}

static double mean_before(const double *values, int64_t end, int64_t period) {
    if (end < period) return 0.0;
    double total = 0.0;
    for (int64_t row = end - period; row < end; row++) total += values[row];
    return total / period;
}

int64_t find_breakouts(const double *high, const double *low, const double *close, const double *volume, int64_t count,
                       int64_t first, int64_t consolidation_bars, double atr_threshold, int64_t atr_period,
                       int64_t volume_period, double stop_fraction, int64_t *index, int64_t *direction, double *stop,
                       double *values) {
    double *average_range = malloc((size_t)(count > 0 ? count : 1) * sizeof *average_range);
    if (average_range == NULL) return -1;
    for (int64_t row = 0; row < count; row++) average_range[row] = NAN;
    average_true_range(high, low, close, count, atr_period, average_range);
    int64_t longest = LONGEST_RUN * consolidation_bars, found = 0, run = 0;
    for (int64_t bar = 1; bar < count; bar++) {
        int64_t before = bar - 1;
        int tight =
            atr_threshold * average_range[before] - (high[before] - low[before]) > DUST * fabs(close[before]);
        run = tight ? (run + 1 < longest ? run + 1 : longest) : 0;
        if (run < consolidation_bars || bar < first) continue;
        int side = close[bar] > high[before] ? 1 : close[bar] < low[before] ? -1 : 0;
        if (side == 0) continue;
        double top = high[before], bottom = low[before];
        for (int64_t row = bar - run; row < before; row++) {
            top = larger(top, high[row]);
            bottom = smaller(bottom, low[row]);
        }
        if ((side == 1 && close[bar] <= top) || (side == -1 && close[bar] >= bottom)) continue;
        double usual = mean_before(volume, bar, volume_period);
        index[found] = bar;
        direction[found] = side;
        stop[found] = side == 1 ? top - stop_fraction * (top - bottom) : bottom + stop_fraction * (top - bottom);
        values[3 * found] = (double)run;
        values[3 * found + 1] = (top - bottom) / average_range[before];
        values[3 * found + 2] = usual > 0.0 ? volume[bar] / usual : 0.0;
        found++;
    }
    free(average_range);
    return found;
}
