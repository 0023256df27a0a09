import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { CoverageLine } from "../generated/api";
import { type Precision, precisionOf } from "../lib/precision";
import { queries } from "../lib/queries";

const NONE: CoverageLine[] = [];

/** Places of prices and quantities of each market that has candles. */
export function usePrecision(): Precision {
  const series = useQuery(queries.coverage()).data?.series ?? NONE;
  return useMemo(() => precisionOf(series), [series]);
}
