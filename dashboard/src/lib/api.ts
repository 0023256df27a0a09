import type { paths, Problem } from "../generated/api";

type Gettable = { [P in keyof paths]: paths[P] extends { get: { responses: { 200: unknown } } } ? P : never }[keyof paths];
type Operation<P extends Gettable> = paths[P]["get"];
export type Answer<P extends Gettable> =
  Operation<P> extends { responses: { 200: { content: { "application/json": infer Body } } } } ? Body : never;
type Parameters<P extends Gettable, In extends string> =
  Operation<P> extends { parameters: { [K in In]?: infer Given } } ? Given : never;

interface Options<P extends Gettable> {
  query?: Parameters<P, "query">;
  path?: Parameters<P, "path">;
  signal?: AbortSignal;
}

/** An answer that is an error: what is wrong, and what to do about it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly remedy: string,
  ) {
    super(detail);
  }
}

export async function get<P extends Gettable>(path: P, options: Options<P> = {}): Promise<Answer<P>> {
  let response: Response;
  try {
    response = await fetch(address(path, options), { signal: options.signal ?? null });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The TradePulse server does not answer.", "Start it with: tradepulse up. This page reconnects by itself.");
  }
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as Answer<P>;
}

function address<P extends Gettable>(path: P, options: Options<P>): string {
  const filled = Object.entries((options.path ?? {}) as Record<string, unknown>).reduce(
    (text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(String(value))),
    String(path),
  );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries((options.query ?? {}) as Record<string, unknown>))
    if (value !== undefined && value !== null) query.set(name, String(value));
  return query.size ? `${filled}?${query}` : filled;
}

async function problemOf(response: Response): Promise<ApiError> {
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) {
    const problem = (await response.json()) as Problem;
    return new ApiError(response.status, problem.detail, problem.remedy ?? "");
  }
  return new ApiError(response.status, `The server answered ${response.status}.`, "The reason is in the server's log.");
}
