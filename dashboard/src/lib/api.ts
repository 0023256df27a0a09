import type { paths } from "../generated/api";
import { problemOf, session } from "./session";

export { ApiError } from "./session";

type Gettable = { [P in keyof paths]: paths[P] extends { get: { responses: { 200: unknown } } } ? P : never }[keyof paths];
type Operation<P extends Gettable> = paths[P]["get"];
export type Answer<P extends Gettable> =
  Operation<P> extends { responses: { 200: { content: { "application/json": infer Body } } } } ? Body : never;
type Given<O, In extends string> = O extends { parameters: { [K in In]?: infer Values } } ? Values : never;

interface Options<O> {
  query?: Given<O, "query">;
  path?: Given<O, "path">;
}

export async function get<P extends Gettable>(path: P, options: Options<Operation<P>> & { signal?: AbortSignal } = {}): Promise<Answer<P>> {
  const response = await session.fetch(address(path, options), { signal: options.signal ?? null });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as Answer<P>;
}

export type Method = "post" | "put" | "patch" | "delete";
export type Writable<M extends Method> = { [P in keyof paths]: paths[P] extends { [K in M]: { responses: unknown } } ? P : never }[keyof paths];
type Write<M extends Method, P extends Writable<M>> = paths[P] extends { [K in M]: infer O } ? O : never;
type Told<R> = { [S in keyof R & (200 | 201 | 202)]: R[S] extends { content: { "application/json": infer Body } } ? Body : never }[keyof R & (200 | 201 | 202)];
type WriteAnswer<O> = O extends { responses: infer R } ? Told<R> : never;
type WriteBody<O> = O extends { requestBody?: { content: { "application/json": infer Body } } } ? Body : never;

interface WriteOptions<O> extends Options<O> {
  body?: WriteBody<O>;
  /** The same key with the same body is done once: keep it while one and the same wish is sent again. */
  key?: string;
}

/** A write. What it answers is typed by the description, as what it takes. */
export async function send<M extends Method, P extends Writable<M>>(method: M, path: P, options: WriteOptions<Write<M, P>> = {}): Promise<WriteAnswer<Write<M, P>>> {
  const headers: Record<string, string> = {};
  if (options.key) headers["Idempotency-Key"] = options.key;
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  const body = options.body === undefined ? null : JSON.stringify(options.body);
  const response = await session.fetch(address(String(path), options), { method: method.toUpperCase(), headers, body });
  if (!response.ok) throw await problemOf(response);
  return (response.status === 204 ? undefined : await response.json()) as WriteAnswer<Write<M, P>>;
}

function address(path: string, options: { query?: unknown; path?: unknown }): string {
  const filled = Object.entries((options.path ?? {}) as Record<string, unknown>).reduce(
    (text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(String(value))),
    path,
  );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries((options.query ?? {}) as Record<string, unknown>))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined && one !== null) query.append(name, String(one));
  return query.size ? `${filled}?${query}` : filled;
}
