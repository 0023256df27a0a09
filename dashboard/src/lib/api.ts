import type { paths } from "../generated/api";
import { problemOf, session } from "./session";

export { ApiError } from "./session";

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

export async function get<P extends Gettable>(path: P, options: Options<P> = {}): Promise<Answer<P>> {
  const response = await session.fetch(address(path, options), { signal: options.signal ?? null });
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
