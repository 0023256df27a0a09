import "@fontsource-variable/inter";
import "./app/styles.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { LiveProvider } from "./app/LiveProvider";
import { ThemeProvider } from "./app/theme";
import { TimesProvider } from "./app/times";
import { SessionGate } from "./features/auth/SessionGate";
import { ApiError } from "./lib/session";

const isTemporary = (error: Error): boolean => error instanceof ApiError && (error.status === 0 || error.status === 503);

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // The live feed says when an answer is out of date.
      staleTime: Infinity,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      networkMode: "always",
      retry: (failures, error) => isTemporary(error) && failures < 2,
      retryDelay: 1000,
    },
  },
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id 'root'");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <ThemeProvider>
        <TimesProvider>
          <SessionGate>
            <LiveProvider>
              <App />
            </LiveProvider>
          </SessionGate>
        </TimesProvider>
      </ThemeProvider>
    </QueryClientProvider>
  </StrictMode>,
);
