import { beforeEach, describe, expect, it } from "vitest";
import type { LiveMessage } from "../generated/api";
import { type Connection, LiveConnection, retryDelay } from "./live";

class Socket {
  sent: string[] = [];
  onopen: () => void = () => undefined;
  onmessage: (event: { data: string }) => void = () => undefined;
  onclose: () => void = () => undefined;
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.onclose();
  }
  says(topic: string, sequence: number | null): void {
    this.onmessage({ data: JSON.stringify({ topic, sequence, data: {} }) });
  }
}

let sockets: Socket[];
let timers: { at: number; run: () => void }[];
let now: number;
let connections: Connection[];
let messages: LiveMessage[];
let beginnings: boolean[];
let live: LiveConnection;
let ticketless: boolean;

async function opened(index: number): Promise<string | undefined> {
  sockets[index]?.onopen();
  await Promise.resolve();
  await Promise.resolve();
  return sockets[index]?.sent[0];
}

function advance(milliseconds: number): void {
  now += milliseconds;
  const due = timers.filter((timer) => timer.at <= now);
  timers = timers.filter((timer) => timer.at > now);
  for (const timer of due) timer.run();
}

beforeEach(() => {
  ticketless = false;
  sockets = [];
  timers = [];
  now = 0;
  connections = [];
  messages = [];
  beginnings = [];
  live = new LiveConnection(
    ["trades"],
    {
      message: (message) => messages.push(message),
      subscribed: (replayed) => beginnings.push(replayed),
      connection: (connection) => connections.push(connection),
    },
    {
      open: () => {
        const socket = new Socket();
        sockets.push(socket);
        return socket as unknown as WebSocket;
      },
      ticket: async () => {
        if (ticketless) throw new Error("logged out");
        return `ticket ${sockets.length}`;
      },
      now: () => now,
      after: (milliseconds, run) => {
        const timer = { at: now + milliseconds, run };
        timers.push(timer);
        return () => {
          timers = timers.filter((other) => other !== timer);
        };
      },
    },
  );
  live.start();
});

describe("a live connection", () => {
  it("asks for what it missed by the last sequence it saw", async () => {
    expect(await opened(0)).toBe('{"ticket":"ticket 1","subscribe":["trades"],"after":null}');
    sockets[0]?.says("subscribed", 7);
    sockets[0]?.says("trades", 12);
    sockets[0]?.close();
    expect(connections.at(-1)).toEqual({ state: "lost", since: 0, retryAt: 500 });
    advance(500);
    expect(await opened(1)).toBe('{"ticket":"ticket 2","subscribe":["trades"],"after":12}');
    sockets[1]?.says("subscribed", 20);
    expect(connections.at(-1)).toEqual({ state: "live" });
    expect(beginnings).toEqual([false, true]);
  });

  it("counts on the replay, not on the greeting, for its place in the log", async () => {
    sockets[0]?.says("subscribed", 7);
    sockets[0]?.close();
    advance(500);
    sockets[1]?.says("subscribed", 20);
    sockets[1]?.close();
    advance(500);
    expect(await opened(2)).toBe('{"ticket":"ticket 3","subscribe":["trades"],"after":7}');
  });

  it("takes silence for a loss", () => {
    sockets[0]?.says("subscribed", 1);
    advance(9_999);
    expect(connections.at(-1)).toEqual({ state: "live" });
    advance(1);
    expect(connections.at(-1)).toMatchObject({ state: "lost" });
  });

  it("reads everything anew when it is too far behind", () => {
    sockets[0]?.says("subscribed", 1);
    sockets[0]?.says("reset", 9000);
    expect(beginnings).toEqual([false, false]);
  });

  it("waits longer each time, and not for ever", () => {
    expect([0, 1, 2, 3, 9].map(retryDelay)).toEqual([500, 1000, 2000, 4000, 5000]);
  });

  it("is lost, and tried again, where there is no ticket", async () => {
    ticketless = true;
    expect(await opened(0)).toBeUndefined();
    expect(connections.at(-1)).toMatchObject({ state: "lost" });
    advance(500);
    expect(sockets).toHaveLength(2);
  });

  it("stays silent after it was stopped", () => {
    live.stop();
    advance(60_000);
    expect(sockets).toHaveLength(1);
  });
});
