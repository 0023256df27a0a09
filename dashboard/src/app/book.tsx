import { useQuery } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useMemo, useState } from "react";
import type { BookLine, Mode } from "../generated/api";
import { keep, kept } from "../lib/kept";
import { type Book, queries } from "../lib/queries";

interface BookChoice {
  /** null while no book has begun. */
  book: Book;
  books: BookLine[];
  choose: (book: string) => void;
}

const NONE: BookLine[] = [];
const BookContext = createContext<BookChoice>({ book: null, books: NONE, choose: () => undefined });
export const useBooks = (): BookChoice => useContext(BookContext);
export const useBook = (): Book => useContext(BookContext).book;

/** The server names the most recently active book first. A page stays with the one it began with, so that figures never change owner unseen. */
export function BookProvider({ children }: { children: ReactNode }) {
  const books = useQuery(queries.books()).data ?? NONE;
  const [chosen, setChosen] = useState<string | null>(() => kept("book"));
  const [first, setFirst] = useState<string | null>(null);
  const named = books.find((line) => line.book === chosen)?.book;
  if (first === null && books[0]) setFirst(books[0].book);
  const book = named ?? first ?? books[0]?.book ?? null;
  const choice = useMemo(
    () => ({
      book,
      books,
      choose: (next: string) => {
        keep("book", next);
        setChosen(next);
      },
    }),
    [book, books],
  );
  return <BookContext value={choice}>{children}</BookContext>;
}

/** Whether the money that is looked at is real: by the wallet that owns the book, else by what this server trades. */
export function useMode(): Mode | undefined {
  const book = useBook();
  const status = useQuery(queries.status()).data;
  const wallets = useQuery(queries.wallets()).data;
  const wallet = wallets?.find((line) => line.book === book);
  if (wallet) return wallet.mode === "live" ? "LIVE" : "PAPER";
  return status?.mode;
}
