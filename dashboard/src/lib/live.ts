import type { LiveMessage, Ticket, Topic } from "../generated/api";
import { problemOf, session } from "./session";

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "lost"; since: number; retryAt: number };

export interface LiveHandlers {
  message: (message: LiveMessage) => void;
  /** After every (re)connection. `missedIsReplayed` is false when everything must be read anew. */
  subscribed: (missedIsReplayed: boolean) => void;
  connection: (connection: Connection) => void;
}

export interface LiveEnvironment {
  open: () => WebSocket;
  /** Good for one connection. */
  ticket: () => Promise<string>;
  now: () => number;
  after: (milliseconds: number, run: () => void) => () => void;
}

const FIRST_RETRY = 500;
const LAST_RETRY = 5_000;
/** The server's heart beats every three seconds; three missed beats are a lost connection. */
const SILENCE = 10_000;

export const retryDelay = (attempt: number): number => Math.min(LAST_RETRY, FIRST_RETRY * 2 ** attempt);

/** One socket that comes back by itself and asks for what it missed, by the last sequence it saw. */
export class LiveConnection {
  private socket: WebSocket | null = null;
  private lastSequence: number | null = null;
  private attempt = 0;
  private lostSince: number | null = null;
  private stopped = false;
  private cancelTimer: () => void = () => undefined;

  constructor(
    private readonly topics: Topic[],
    private readonly handlers: LiveHandlers,
    private readonly environment: LiveEnvironment,
  ) {}

  start(): void {
    this.stopped = false;
    this.handlers.connection({ state: "connecting" });
    this.connect();
  }

  stop(): void {
    this.stopped = true;
    this.cancelTimer();
    this.socket?.close();
    this.socket = null;
  }

  /** Try now rather than when the timer says: the network came back, or a person asks. */
  retryNow(): void {
    if (this.lostSince === null || this.socket !== null) return;
    this.cancelTimer();
    this.connect();
  }

  private connect(): void {
    const socket = this.environment.open();
    this.socket = socket;
    socket.onopen = () => void this.subscribe(socket);
    socket.onmessage = (event: MessageEvent<string>) => this.receive(socket, JSON.parse(event.data) as LiveMessage);
    socket.onclose = () => this.lose(socket);
    this.watchForSilence(socket);
  }

  private async subscribe(socket: WebSocket): Promise<void> {
    try {
      const ticket = await this.environment.ticket();
      if (socket === this.socket) socket.send(JSON.stringify({ ticket, subscribe: this.topics, after: this.lastSequence }));
    } catch {
      // Without a ticket there is no connection; the next try asks for another.
      socket.close();
    }
  }

  private watchForSilence(socket: WebSocket): void {
    this.cancelTimer();
    this.cancelTimer = this.environment.after(SILENCE, () => {
      socket.close();
      this.lose(socket);
    });
  }

  private receive(socket: WebSocket, message: LiveMessage): void {
    if (socket !== this.socket) return;
    this.watchForSilence(socket);
    if (message.topic === "subscribed") this.begin(message);
    else if (message.topic === "reset") {
      this.lastSequence = message.sequence;
      this.handlers.subscribed(false);
    } else this.handlers.message(message);
    if (message.sequence !== null && message.topic !== "subscribed")
      this.lastSequence = Math.max(this.lastSequence ?? 0, message.sequence);
  }

  private begin(message: LiveMessage): void {
    const first = this.lastSequence === null;
    if (first) this.lastSequence = message.sequence;
    this.attempt = 0;
    this.lostSince = null;
    this.handlers.connection({ state: "live" });
    this.handlers.subscribed(!first);
  }

  private lose(socket: WebSocket): void {
    if (socket !== this.socket || this.stopped) return;
    this.socket = null;
    this.cancelTimer();
    const now = this.environment.now();
    this.lostSince ??= now;
    const delay = retryDelay(this.attempt++);
    this.handlers.connection({ state: "lost", since: this.lostSince, retryAt: now + delay });
    this.cancelTimer = this.environment.after(delay, () => this.connect());
  }
}

export function browserEnvironment(): LiveEnvironment {
  const address = new URL("/api/live", window.location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return {
    open: () => new WebSocket(address),
    ticket: async () => {
      const response = await session.fetch("/api/auth/live-ticket", { method: "POST" });
      if (!response.ok) throw await problemOf(response);
      return ((await response.json()) as Ticket).ticket;
    },
    now: () => Date.now(),
    after: (milliseconds, run) => {
      const timer = window.setTimeout(run, milliseconds);
      return () => window.clearTimeout(timer);
    },
  };
}
