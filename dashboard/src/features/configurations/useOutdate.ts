import { useQueryClient } from "@tanstack/react-query";

const OUTDATED = ["matrix", "configurations", "training status", "status"];

/** What a change of a configuration makes out of date. */
export function useOutdate(): () => void {
  const client = useQueryClient();
  return () => OUTDATED.forEach((name) => void client.invalidateQueries({ queryKey: [name] }));
}
