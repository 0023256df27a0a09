/* Trials of the volume breakout in plain C: the yardstick for kernels/trials_breakout.py and kernels/trials.py.
 * The same algorithm on the same prepared columns, the same order of floating-point operations: equal statistics.
 * Only what a trial does is here; candidates, ATR and volumes are handed in as they are handed to the kernel. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_RUN 5
#define DUST 1e-9
#define TIE 1e-9
#define PPM 1000000
#define SLOTS 4
#define ANY 3
#define FIGURES 4
#define FUNDING_INTERVAL_MS 28800000
#define RISK_DRIFT_PPM 250000
#define ROUNDING 2e-7
#define STRETCH 8192
#define BATCH 32

typedef struct {
    const int64_t *open_time, *open, *high, *low, *close;
    int64_t count, duration;
    const int8_t *slot;
    const int16_t *column;
    const int32_t *segment;
    double tick_size;
    int64_t maker, taker, slippage, funding, shorts, columns;
} Market;

typedef struct {
    const double *high, *low, *close;
    const int64_t *bar, *direction, *beyond;
    int64_t candidates;
    const double *volume, *average_range;
    const float *width;
    const double *tops, *bottoms;
    int64_t least_atr, least_volume;
} Memo;

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }
static int64_t worsened(int64_t ticks, int64_t side, int64_t slippage) {
    return side == 1 ? ticks - floor_div(-ticks * slippage, PPM) : ticks + floor_div(-ticks * slippage, PPM);
}
static int64_t loss_per_lot(int64_t entry, int64_t stop, int64_t direction, const Market *m) {
    int64_t leaves = worsened(stop, -direction, m->slippage);
    return direction * (entry - leaves) * PPM + (entry + leaves) * m->taker;
}
static int64_t worst_entry(int64_t planned, int64_t stop) {
    return planned > stop ? planned + floor_div((planned - stop) * RISK_DRIFT_PPM, PPM)
                          : planned - floor_div((stop - planned) * RISK_DRIFT_PPM, PPM);
}
static int at_least(double value, double asked) { return value - asked >= -TIE * fmax(1.0, fabs(asked)); }

/* Exit reason (0 none, 1 stop, 2 target, 3 time); price, time and bar through the pointers. */
static int leave(const Market *m, int64_t entered, int64_t stop, int64_t target, int64_t direction, int64_t longest,
                 int64_t *ticks, int64_t *time, int64_t *at) {
    int64_t last = entered + longest - 1 < m->count - 1 ? entered + longest - 1 : m->count - 1;
    int64_t deadline = m->open_time[entered] + (longest - 1) * m->duration;
    if (last > entered && m->open_time[last] > deadline) {
        last = entered;
        while (m->open_time[last] < deadline) last++;
    }
    int64_t bar = entered;
    if (direction == 1)
        while (bar <= last && m->low[bar] > stop && m->high[bar] < target) bar++;
    else
        while (bar <= last && m->high[bar] < stop && m->low[bar] > target) bar++;
    if (bar <= last) {
        *at = bar;
        if (bar != entered) {
            *time = m->open_time[bar];
            if (direction * (m->open[bar] - stop) <= 0) {
                *ticks = worsened(m->open[bar], -direction, m->slippage);
                return 1;
            }
            if (direction * (m->open[bar] - target) >= 0) {
                *ticks = m->open[bar];
                return 2;
            }
        }
        *time = m->open_time[bar] + m->duration;
        int64_t adverse = direction == 1 ? m->low[bar] : m->high[bar];
        if (direction * (adverse - stop) <= 0) {
            *ticks = worsened(stop, -direction, m->slippage);
            return 1;
        }
        *ticks = target;
        return 2;
    }
    if (m->open_time[last] + m->duration - m->open_time[entered] < longest * m->duration || last + 1 >= m->count) return 0;
    *at = last + 1;
    *time = m->open_time[last + 1];
    *ticks = worsened(m->open[last + 1], -direction, m->slippage);
    return 3;
}

static void take(const Market *m, int64_t *busy, double *sums, int64_t index, int64_t direction, double stop_price,
                 double reward_risk, double least_reward, int64_t longest) {
    int slot = m->slot[index];
    int own = index >= busy[slot], every = index >= busy[ANY];
    if (!(own || every) || (direction == -1 && !m->shorts)) return;
    double ratio = stop_price / m->tick_size;
    int64_t stop = (int64_t)(direction == 1 ? floor(ratio + 1e-6) : ceil(ratio - 1e-6));
    int64_t planned = worsened(m->close[index], direction, m->slippage);
    if (direction * (planned - stop) <= 0 || stop <= 0) return;
    int64_t entered = index + 1, until = entered, ticks = 0, time = 0, at = 0, entry = 0;
    int reason = 0;
    if (entered < m->count && m->open_time[entered] == m->open_time[index] + m->duration) {
        entry = worsened(m->open[entered], direction, m->slippage);
        int64_t target = entry + direction * (int64_t)ceil(reward_risk * (double)llabs(entry - stop) - 1e-9);
        if (target < 1) target = 1;
        int64_t reward = direction * (target - entry) * PPM - entry * m->taker - target * m->maker;
        if (direction * (m->open[entered] - stop) > 0 && direction * (target - entry) > 0 &&
            direction * (entry - worst_entry(planned, stop)) <= 0 &&
            !((double)reward < least_reward * (double)loss_per_lot(entry, stop, direction, m))) {
            reason = leave(m, entered, stop, target, direction, longest, &ticks, &time, &at);
            until = reason ? at : INT64_MAX;
        }
    }
    if (own) busy[slot] = until;
    if (every) busy[ANY] = until;
    if (!reason) return;
    int64_t periods = time / FUNDING_INTERVAL_MS - m->open_time[entered] / FUNDING_INTERVAL_MS;
    int64_t result = direction * (ticks - entry) * PPM - entry * m->taker - ticks * (reason == 2 ? m->maker : m->taker) -
                     direction * periods * entry * m->funding;
    double r = (double)result / (double)loss_per_lot(entry, stop, direction, m);
    int64_t latest = entered + longest + 1;
    int64_t column = latest < m->count && m->segment[entered] == m->segment[latest] ? m->column[entered] : -1;
    if (column < 0) return;
    for (int which = 0; which < 2; which++) {
        if (!(which ? every : own)) continue;
        double *figures = sums + ((which ? ANY : slot) * m->columns + column) * FIGURES;
        figures[0] += 1.0;
        figures[1] += r > 0.0 ? 1.0 : 0.0;
        figures[2] += r;
        figures[3] += r * r;
    }
}

/* One point's candidates from `place` on, before bar `until`; the candidate to go on with. */
static int64_t go_on(const Memo *memo, const Market *m, const double *point, int64_t *busy, double *sums, int64_t place,
                     int64_t until) {
    int64_t least_run = (int64_t)point[0], longest = LONGEST_RUN * least_run;
    double threshold = point[1], tallest = point[3], multiple = point[4], fraction = point[6];
    double surely = threshold * (1.0 - ROUNDING), hardly = threshold * (1.0 + ROUNDING);
    const double *range = memo->average_range + ((int64_t)point[2] - memo->least_atr) * m->count;
    const float *width = memo->width + ((int64_t)point[2] - memo->least_atr) * m->count;
    const double *volume = memo->volume + ((int64_t)point[5] - memo->least_volume) * memo->candidates;
    for (; place < memo->candidates && memo->bar[place] < until; place++) {
        if (!at_least(volume[place], multiple) || memo->beyond[place] < least_run) continue;
        int64_t bar = memo->bar[place], beyond = memo->beyond[place], run = 0, at = bar - 1;
        if (bar < busy[ANY] && bar < busy[m->slot[bar]]) continue;
        int64_t most = longest < beyond + 1 ? longest : beyond + 1;
        while (run < most &&
               (width[at] < surely ||
                (width[at] <= hardly &&
                 threshold * range[at] - (memo->high[at] - memo->low[at]) > DUST * fabs(memo->close[at])))) {
            run++;
            at--;
        }
        if (run < least_run || run > beyond) continue;
        int level = 0;
        while ((int64_t)2 << level <= run) level++;
        const double *tops = memo->tops + level * m->count, *bottoms = memo->bottoms + level * m->count;
        int64_t first = bar - 1 - run + ((int64_t)1 << level);
        double top = tops[bar - 1] > tops[first] ? tops[bar - 1] : tops[first];
        double bottom = bottoms[bar - 1] < bottoms[first] ? bottoms[bar - 1] : bottoms[first];
        if (!(tallest - (top - bottom) / range[bar - 1] >= -TIE * fmax(1.0, fabs(tallest)))) continue;
        double inside = fraction * (top - bottom);
        int64_t direction = memo->direction[place];
        take(m, busy, sums, bar, direction, direction == 1 ? top - inside : bottom + inside, point[7], point[8],
             (int64_t)point[9]);
    }
    return place;
}

/* `sums`: scratch for BATCH points, which go through time together. */
void run_trials(const Memo *memo, const Market *m, const double *points, int64_t count, int64_t parameters,
                double *sums, float *stats) {
    int64_t figures = SLOTS * m->columns * FIGURES;
    for (int64_t begin = 0; begin < count; begin += BATCH) {
        int64_t end = begin + BATCH < count ? begin + BATCH : count, place[BATCH] = {0}, busy[BATCH][SLOTS];
        for (int64_t row = 0; row < end - begin; row++)
            for (int slot = 0; slot < SLOTS; slot++) busy[row][slot] = -1;
        memset(sums, 0, (size_t)((end - begin) * figures) * sizeof *sums);
        for (int64_t bar = 0; bar < m->count; bar += STRETCH)
            for (int64_t row = begin; row < end; row++)
                place[row - begin] = go_on(memo, m, points + row * parameters, busy[row - begin],
                                           sums + (row - begin) * figures, place[row - begin], bar + STRETCH);
        for (int64_t at = 0; at < (end - begin) * figures; at++) stats[begin * figures + at] = (float)sums[at];
    }
}
