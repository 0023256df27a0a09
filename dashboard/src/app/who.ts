import { useSyncExternalStore } from "react";
import type { UserLine } from "../generated/api";
import { session } from "../lib/session";

/** Who is logged in; the pages are drawn for nobody else. */
export function useUser(): UserLine {
  const current = useSyncExternalStore(session.subscribe, session.state);
  if (current.state !== "in") return { user_id: "", name: "", role: "viewer", disabled: true, created_at: 0 };
  return current.user;
}

export const mayTrade = (user: UserLine): boolean => user.role !== "viewer";
export const mayAdminister = (user: UserLine): boolean => user.role === "admin";
