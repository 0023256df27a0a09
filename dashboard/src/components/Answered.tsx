import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ApiError } from "../lib/api";

interface AnsweredProps<T> {
  query: UseQueryResult<T>;
  loading?: ReactNode;
  isEmpty?: (data: T) => boolean;
  empty?: ReactNode;
  children: (data: T) => ReactNode;
}

/** One answer in its four states. What is known stays on the page while it is asked for again. */
export function Answered<T>({ query, loading, isEmpty, empty, children }: AnsweredProps<T>) {
  if (query.data !== undefined) return isEmpty?.(query.data) ? empty : children(query.data);
  if (query.error) return <Failed error={query.error} retry={() => void query.refetch()} />;
  return loading ?? <Loading />;
}

export function Loading({ rows = 3 }: { rows?: number }) {
  return (
    <div className="state" role="status">
      <span className="sr-only">Loading…</span>
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} className="skeleton" aria-hidden="true" />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="state state-empty">
      <strong>{title}</strong>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Failed({ error, retry }: { error: Error; retry: () => void }) {
  if (error instanceof ApiError && error.status === 404) return <Empty title={error.message}>{error.remedy}</Empty>;
  return (
    <div className="state state-failed" role="alert">
      <strong>
        <span aria-hidden="true">⚠ </span>
        {error.message}
      </strong>
      {error instanceof ApiError && error.remedy && <p>{error.remedy}</p>}
      <button type="button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}
