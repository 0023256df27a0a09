import type { Problem, SetUpState, Tokens, UserLine } from "../generated/api";

export type SessionState =
  | { state: "unknown" }
  | { state: "out"; why: string | null }
  | { state: "unreachable" }
  | { state: "in"; user: UserLine };

export interface SessionEnvironment {
  fetch: (path: string, init: RequestInit) => Promise<Response>;
  /** Runs one at a time over all pages of this origin: two that used the same refresh token would end the session. */
  alone: <T>(work: () => Promise<T>) => Promise<T>;
  now: () => number;
  /** Whether somebody has logged in here before; no secret, only so that nobody is asked in vain. */
  known: { get: () => boolean; set: (known: boolean) => void };
}

/** An answer that is an error: what is wrong, and what to do about it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly remedy: string,
    readonly code: string = "",
  ) {
    super(detail);
  }
}

/** Renewed so long before its end that no request is refused for its age. */
const SPARE_MILLISECONDS = 30_000;

/** The access token lives in memory alone; the refresh token is in a cookie that no script can read. */
export class Session {
  private token: string | null = null;
  private renewAt = 0;
  private renewing: Promise<void> | null = null;
  private current: SessionState = { state: "unknown" };
  private listeners = new Set<() => void>();

  constructor(private readonly environment: SessionEnvironment) {}

  readonly state = (): SessionState => this.current;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Goes on with an earlier session, where there is one. */
  async begin(): Promise<void> {
    if (!this.environment.known.get()) return this.change({ state: "out", why: null });
    try {
      await this.renew();
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401)) this.change({ state: "unreachable" });
    }
  }

  async logIn(name: string, password: string): Promise<void> {
    this.take(await this.post<Tokens>("/api/auth/login", { name, password }));
  }

  async setUp(token: string, name: string, password: string): Promise<void> {
    this.take(await this.post<Tokens>("/api/auth/set-up", { token, name, password }));
  }

  async needsSetUp(): Promise<boolean> {
    const response = await this.reach("/api/auth/set-up", {});
    return response.ok && ((await response.json()) as SetUpState).needed;
  }

  /** The password once more, which some writes ask for. */
  async confirm(password: string): Promise<void> {
    const headers = { "Content-Type": "application/json" };
    const response = await this.fetch("/api/auth/confirm", { method: "POST", headers, body: JSON.stringify({ password }) });
    if (!response.ok) throw await problemOf(response);
  }

  async logOut(): Promise<void> {
    await this.fetch("/api/auth/logout", { method: "POST" });
    this.leave(null);
  }

  /** As the one who is logged in; once more with a new token where the old one was refused. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    if (this.token === null || this.environment.now() >= this.renewAt) await this.renew();
    const response = await this.reach(path, this.signed(init));
    if (response.status !== 401) return response;
    await this.renew();
    return this.reach(path, this.signed(init));
  }

  private signed(init: RequestInit): RequestInit {
    return { ...init, headers: { ...(init.headers as Record<string, string>), Authorization: `Bearer ${this.token}` } };
  }

  private renew(): Promise<void> {
    this.renewing ??= this.environment
      .alone(() => this.post<Tokens>("/api/auth/refresh"))
      .then((tokens) => this.take(tokens))
      .catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401) this.leave("Your session has ended. Log in again.");
        throw error;
      })
      .finally(() => {
        this.renewing = null;
      });
    return this.renewing;
  }

  private take(tokens: Tokens): void {
    this.token = tokens.access_token;
    this.renewAt = this.environment.now() + tokens.expires_in * 1000 - SPARE_MILLISECONDS;
    this.environment.known.set(true);
    this.change({ state: "in", user: tokens.user });
  }

  private leave(why: string | null): void {
    this.token = null;
    this.environment.known.set(false);
    this.change({ state: "out", why });
  }

  private change(next: SessionState): void {
    const same = next.state === "in" && this.current.state === "in" && next.user.user_id === this.current.user.user_id;
    if (same) return;
    this.current = next;
    for (const listener of this.listeners) listener();
  }

  private async post<T>(path: string, body?: object): Promise<T> {
    const init: RequestInit = { method: "POST" };
    if (body) Object.assign(init, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    const response = await this.reach(path, init);
    if (!response.ok) throw await problemOf(response);
    return (await response.json()) as T;
  }

  private async reach(path: string, init: RequestInit): Promise<Response> {
    try {
      return await this.environment.fetch(path, init);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new ApiError(0, "The TradePulse server does not answer.", "Start it with: tradepulse up. This page reconnects by itself.");
    }
  }
}

export async function problemOf(response: Response): Promise<ApiError> {
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) {
    const problem = (await response.json()) as Problem;
    return new ApiError(response.status, problem.detail, problem.remedy ?? "", problem.code);
  }
  return new ApiError(response.status, `The server answered ${response.status}.`, "The reason is in the server's log.");
}

const KNOWN = "tradepulse.known";

function browserEnvironment(): SessionEnvironment {
  return {
    fetch: (path, init) => fetch(path, init),
    // Locks are for secure pages only; elsewhere one page at a time has to do.
    alone: <T>(work: () => Promise<T>): Promise<T> =>
      navigator.locks ? (navigator.locks.request("tradepulse.session", work) as Promise<T>) : work(),
    now: () => performance.now(),
    known: {
      get: () => localStorage.getItem(KNOWN) !== null,
      set: (known) => (known ? localStorage.setItem(KNOWN, "yes") : localStorage.removeItem(KNOWN)),
    },
  };
}

export const session = new Session(browserEnvironment());
