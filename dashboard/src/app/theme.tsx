import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";

export type Theme = "dark" | "light";
interface ThemeChoice {
  theme: Theme;
  toggle: () => void;
}

const ThemeContext = createContext<ThemeChoice>({ theme: "dark", toggle: () => undefined });
export const useTheme = (): ThemeChoice => useContext(ThemeContext);

export function ThemeProvider({ children }: { children: ReactNode }) {
  const [theme, setTheme] = useState<Theme>(() => (document.documentElement.dataset["theme"] === "light" ? "light" : "dark"));
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // A browser that keeps nothing still shows the theme of this visit.
    }
  }, [theme]);
  const choice = useMemo(() => ({ theme, toggle: () => setTheme(theme === "dark" ? "light" : "dark") }), [theme]);
  return <ThemeContext value={choice}>{children}</ThemeContext>;
}

/** The palette of the theme in force, for what is drawn on a canvas. Read after the theme was applied. */
export interface Palette {
  text: string;
  muted: string;
  grid: string;
  border: string;
  up: string;
  down: string;
  neutral: string;
  panel: string;
}

export function paletteOf(theme: Theme): Palette {
  return theme === "dark"
    ? {
        text: "#c9d3e0",
        muted: "#8593a6",
        grid: "#18202b",
        border: "#243040",
        up: "#4c9aff",
        down: "#f0993e",
        neutral: "#7d8a9c",
        panel: "#10161f",
      }
    : {
        text: "#26313f",
        muted: "#5b6878",
        grid: "#eef1f5",
        border: "#d5dce5",
        up: "#0f62d6",
        down: "#b85f06",
        neutral: "#7a8797",
        panel: "#ffffff",
      };
}

/** `#rrggbb` with an opacity from 0 to 1. */
export const faded = (colour: string, opacity: number): string =>
  colour +
  Math.round(opacity * 255)
    .toString(16)
    .padStart(2, "0");
