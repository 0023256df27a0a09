import { beforeEach, describe, expect, it } from "vitest";
import { ApiError, Session, type SessionEnvironment } from "./session";

const USER = { user_id: "u1", name: "Ada", role: "admin", disabled: false, created_at: 0 };
let answers: Record<string, (() => Response)[]>;
let asked: { path: string; init: RequestInit }[];
let now: number;
let known: boolean;

const json = (status: number, body: object): Response =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": status < 400 ? "application/json" : "application/problem+json" } });
const tokens = (number: number) => (): Response => json(200, { access_token: `t${number}`, expires_in: 600, user: USER });
const refusal = (): Response => json(401, { detail: "No.", remedy: "Log in.", code: "session_ended" });
const authorization = (index: number): string | undefined => (asked[index]?.init.headers as Record<string, string>)?.["Authorization"];

const environment: SessionEnvironment = {
  fetch: async (path, init) => {
    asked.push({ path, init });
    const answer = answers[path]?.shift();
    if (!answer) throw new TypeError("network");
    return answer();
  },
  alone: (work) => work(),
  now: () => now,
  known: {
    get: () => known,
    set: (next) => {
      known = next;
    },
  },
};
let session: Session;

beforeEach(() => {
  answers = {};
  asked = [];
  now = 0;
  known = true;
  session = new Session(environment);
});

describe("a session", () => {
  it("asks nobody where nobody has logged in before", async () => {
    known = false;
    await session.begin();
    expect(session.state()).toEqual({ state: "out", why: null });
    expect(asked).toEqual([]);
  });

  it("goes on by the cookie and signs what it sends", async () => {
    answers = { "/api/auth/refresh": [tokens(1)], "/api/x": [() => json(200, {})] };
    await session.begin();
    await session.fetch("/api/x");
    expect(session.state()).toEqual({ state: "in", user: USER });
    expect(authorization(1)).toBe("Bearer t1");
  });

  it("renews once for all that ask at the same time, before the token ends", async () => {
    answers = { "/api/auth/login": [tokens(1)], "/api/auth/refresh": [tokens(2)], "/api/x": [() => json(200, {}), () => json(200, {})] };
    await session.logIn("Ada", "secret");
    now = 570_000;
    await Promise.all([session.fetch("/api/x"), session.fetch("/api/x")]);
    expect(asked.map((one) => one.path)).toEqual(["/api/auth/login", "/api/auth/refresh", "/api/x", "/api/x"]);
    expect(authorization(3)).toBe("Bearer t2");
  });

  it("tries once more with a new token where the old one is refused", async () => {
    answers = { "/api/auth/login": [tokens(1)], "/api/auth/refresh": [tokens(2)], "/api/x": [refusal, () => json(200, {})] };
    await session.logIn("Ada", "secret");
    expect((await session.fetch("/api/x")).status).toBe(200);
  });

  it("is over when it cannot be renewed", async () => {
    answers = { "/api/auth/login": [tokens(1)], "/api/auth/refresh": [refusal], "/api/x": [refusal] };
    await session.logIn("Ada", "secret");
    await expect(session.fetch("/api/x")).rejects.toBeInstanceOf(ApiError);
    expect(session.state()).toEqual({ state: "out", why: "Your session has ended. Log in again." });
    expect(known).toBe(false);
  });

  it("does not take a server that is away for the end of the session", async () => {
    await session.begin();
    expect(session.state()).toEqual({ state: "unreachable" });
    expect(known).toBe(true);
  });
});
