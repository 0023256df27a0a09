import { hashKey, type QueryClient, type QueryKey } from "@tanstack/react-query";
import type { BookLine, CandleSeries, Coverage, EquityHistory, LiveCandle, LiveEvent, LiveMessage, PageSetupLine, SetupLine, Timeframe, Topic } from "../generated/api";
import { CANDLE_LIMIT, SETUP_LIMIT, type SetupFilter } from "./queries";

export const TOPICS: Topic[] = ["candles", "setups", "orders", "positions", "trades", "equity", "regimes", "gaps", "risk"];

/** Which answers an event makes out of date. Candles, equity and new setups are carried over from the message itself. */
const OUTDATED: Partial<Record<Topic, string[]>> = {
  setups: ["setups"],
  orders: ["orders", "log"],
  positions: ["positions", "orders", "summary", "setups", "risk"],
  trades: ["trades", "positions", "orders", "statistics", "days", "summary", "risk"],
  risk: ["risk", "log"],
  regimes: ["candles"],
  gaps: ["coverage"],
};

export interface Mark {
  price: number;
  time: number;
}

/** The latest close of each market, whatever the timeframe: what open positions are valued at. */
export type Marks = Readonly<Record<string, Mark>>;

export const marketOf = (exchange: string, symbol: string): string => `${exchange}:${symbol}`;

const MILLISECONDS: Record<string, number> = {
  "1m": 60_000,
  "5m": 300_000,
  "15m": 900_000,
  "1h": 3_600_000,
  "4h": 14_400_000,
  "1d": 86_400_000,
  "1w": 604_800_000,
};

/** Timeframes to look at: the stored ones and what can be joined from them. */
export function offeredTimeframes(stored: string[]): string[] {
  const finest = Math.min(...stored.map(timeframeSpan));
  return Object.keys(MILLISECONDS).filter((timeframe) => stored.includes(timeframe) || (timeframeSpan(timeframe) > finest && timeframe !== "1w"));
}

export const timeframeSpan = (timeframe: string): number => MILLISECONDS[timeframe] ?? 60_000;

/** The series with one more candle; `null` when candles are missing in between and the series must be read anew. */
export function withCandle(series: CandleSeries, candle: LiveCandle): CandleSeries | null {
  const last = series.candles.at(-1);
  if (!last) return null;
  if (candle.open_time <= last.time) return series;
  if (candle.open_time !== last.time + timeframeSpan(series.timeframe)) return null;
  const { open_time: time, open, high, low, close, volume } = candle;
  const bar = { time, open, high, low, close, volume, regime: last.regime };
  return { ...series, candles: [...series.candles, bar].slice(-2 * CANDLE_LIMIT) };
}

export function withEquity(history: EquityHistory, payload: Record<string, unknown>): EquityHistory | null {
  const { time, cash, equity } = payload;
  if (typeof time !== "number" || typeof cash !== "string" || typeof equity !== "string") return null;
  const last = history.points.at(-1);
  if (last && time <= last.time) return history;
  return { ...history, points: [...history.points, { time, cash, equity }].slice(-10_000) };
}

interface Growing {
  candle: LiveCandle;
  parts: number;
}

/** Joins finer candles of one market into one of `timeframe`; a whole one is told when its last part came. */
export function joined(growing: Growing | undefined, part: LiveCandle, timeframe: Timeframe): { growing: Growing; whole: boolean } {
  const span = timeframeSpan(timeframe);
  const open_time = Math.floor(part.open_time / span) * span;
  const before = growing?.candle.open_time === open_time ? growing : undefined;
  const candle = before
    ? {
        ...before.candle,
        high: Math.max(before.candle.high, part.high),
        low: Math.min(before.candle.low, part.low),
        close: part.close,
        volume: before.candle.volume + part.volume,
      }
    : { ...part, timeframe, open_time };
  const parts = (before?.parts ?? 0) + 1;
  return { growing: { candle, parts }, whole: part.open_time + timeframeSpan(part.timeframe) === open_time + span };
}

/** The page of setups with one more on top, where the question it answers asks for this one. */
export function withSetup(page: PageSetupLine, filter: SetupFilter, symbol: string | null, setup: SetupLine): PageSetupLine {
  const isAskedFor = (filter === "all" || setup.taken === (filter === "taken")) && (symbol === null || symbol === setup.symbol);
  if (!isAskedFor) return page;
  const others = page.items.filter((other) => other.setup_id !== setup.setup_id);
  return { ...page, items: [setup, ...others].slice(0, SETUP_LIMIT) };
}

/** Carries what the socket pushes into the answers already on the page; nothing is asked for on a timer. */
export class Intake {
  private readonly outdated = new Set<string>();
  private readonly growing = new Map<string, Growing>();
  /** By key, what was carried over while an answer was under way: the answer may be older and would undo it. */
  private readonly carried = new Map<string, (() => void)[]>();
  private readonly stopListening: () => void;
  private scheduled = false;

  constructor(
    private readonly client: QueryClient,
    private readonly onMark: (market: string, mark: Mark) => void,
    private readonly onMarketTime: (time: number) => void,
    private readonly onServerTime: (time: number) => void,
  ) {
    this.stopListening = client.getQueryCache().subscribe((event) => {
      if (event.type !== "updated") return;
      const { action, query } = event;
      if (action.type === "success" && !action.manual) this.carryOnto(query.queryHash);
      else if (action.type === "error") this.carried.delete(query.queryHash);
    });
  }

  stop(): void {
    this.stopListening();
  }

  take(message: LiveMessage): void {
    if (message.topic === "heartbeat") this.onServerTime(Number(message.data["server_time"]));
    else if (message.topic === "candles" && message.sequence === null) this.candle(message.data as unknown as LiveCandle);
    else if (message.sequence !== null) this.event(message);
  }

  everythingIsOutdated(): void {
    void this.client.invalidateQueries();
  }

  candlesAreOutdated(): void {
    void this.client.invalidateQueries({ queryKey: ["candles"] });
    void this.client.invalidateQueries({ queryKey: ["coverage"] });
    void this.client.invalidateQueries({ queryKey: ["status"] });
  }

  private candle(candle: LiveCandle): void {
    this.extend(candle);
    this.joinCoarser(candle);
    this.noticeNewSeries(candle);
    const closed = candle.open_time + timeframeSpan(candle.timeframe);
    this.onMark(marketOf(candle.exchange, candle.symbol), { price: candle.close, time: closed });
    this.onMarketTime(closed);
  }

  /** Does it now, and once more onto an answer that is under way. */
  private carry(key: QueryKey, change: () => void): void {
    change();
    if (this.client.isFetching({ queryKey: key, exact: true }) === 0) return;
    const hash = hashKey(key);
    this.carried.set(hash, [...(this.carried.get(hash) ?? []), change]);
  }

  private carryOnto(hash: string): void {
    const changes = this.carried.get(hash) ?? [];
    this.carried.delete(hash);
    for (const change of changes) change();
  }

  private extend(candle: LiveCandle): void {
    const key = ["candles", candle.exchange, candle.symbol, candle.timeframe];
    this.carry(key, () => {
      const series = this.client.getQueryData<CandleSeries>(key);
      const extended = series && withCandle(series, candle);
      if (extended) this.client.setQueryData(key, extended);
      else if (series) this.askAgain("candles");
    });
  }

  /** Timeframes that are shown but not stored grow from the stored finer one. */
  private joinCoarser(part: LiveCandle): void {
    const stored = this.client.getQueryData<Coverage>(["coverage"])?.series ?? [];
    for (const query of this.client.getQueryCache().findAll({ queryKey: ["candles", part.exchange, part.symbol] })) {
      const timeframe = query.queryKey[3] as Timeframe;
      const own = stored.filter((line) => line.exchange === part.exchange && line.symbol === part.symbol);
      const source = own.findLast((line) => timeframeSpan(timeframe) % timeframeSpan(line.timeframe) === 0);
      if (source?.timeframe !== part.timeframe || timeframe === part.timeframe) continue;
      const key = query.queryHash;
      const { growing, whole } = joined(this.growing.get(key), part, timeframe);
      this.growing.set(key, growing);
      if (!whole) continue;
      this.growing.delete(key);
      if (growing.parts === timeframeSpan(timeframe) / timeframeSpan(part.timeframe)) this.extend(growing.candle);
      else this.askAgain("candles");
    }
  }

  /** A series whose first candle was just stored is not in the picker yet. */
  private noticeNewSeries(candle: LiveCandle): void {
    const stored = this.client.getQueryData<Coverage>(["coverage"])?.series;
    const isKnown = stored?.some(
      (line) => line.exchange === candle.exchange && line.symbol === candle.symbol && line.timeframe === candle.timeframe,
    );
    if (isKnown === false) this.askAgain("coverage");
  }

  /** A book that began a moment ago is not among those to choose from yet. */
  private noticeNewBook(book: string): void {
    const known = this.client.getQueryData<BookLine[]>(["books"]);
    if (known?.every((line) => line.book !== book)) this.askAgain("books");
  }

  private event(message: LiveMessage): void {
    const { kind, book, time, payload } = message.data as unknown as LiveEvent;
    this.noticeNewBook(book);
    if (message.topic === "equity") this.equity(book, payload);
    if (kind === "setup_evaluated") this.setup(book, payload as unknown as SetupLine);
    else for (const name of OUTDATED[message.topic as Topic] ?? []) this.askAgain(name);
    this.onMarketTime(time);
  }

  private setup(book: string, setup: SetupLine): void {
    for (const query of this.client.getQueryCache().findAll({ queryKey: ["setups", book] })) {
      const [, , filter, symbol] = query.queryKey as [string, string, SetupFilter, string | null];
      this.carry(query.queryKey, () => {
        this.client.setQueryData<PageSetupLine>(query.queryKey, (page) => page && withSetup(page, filter, symbol, setup));
      });
    }
  }

  private equity(book: string, payload: Record<string, unknown>): void {
    this.carry(["equity", book], () => {
      const history = this.client.getQueryData<EquityHistory>(["equity", book]);
      const extended = history && withEquity(history, payload);
      if (extended) this.client.setQueryData(["equity", book], extended);
      else if (history) this.askAgain("equity");
    });
    this.carry(["summary", book], () => {
      this.client.setQueryData(["summary", book], (summary: object | undefined) =>
        summary && typeof payload["equity"] === "string" ? { ...summary, ...payload } : summary,
      );
    });
  }

  /** Gathers what one commit touches, so that each answer is asked for once. */
  private askAgain(name: string): void {
    this.outdated.add(name);
    if (this.scheduled) return;
    this.scheduled = true;
    setTimeout(() => {
      this.scheduled = false;
      const names = [...this.outdated];
      this.outdated.clear();
      for (const key of names) void this.client.invalidateQueries({ queryKey: [key] });
    }, 250);
  }
}
