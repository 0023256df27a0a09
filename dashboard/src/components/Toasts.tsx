import * as Radix from "@radix-ui/react-toast";
import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from "react";

interface Toast {
  title: string;
  detail?: string;
}

const ToastContext = createContext<{ tell: (toast: Toast) => void }>({ tell: () => undefined });
export const useToasts = () => useContext(ToastContext);

/** Short words about what has just been done. What went wrong is told where it was asked for, not here. */
export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<(Toast & { id: number })[]>([]);
  const tell = useCallback((toast: Toast) => setToasts((told) => [...told.slice(-3), { ...toast, id: (told.at(-1)?.id ?? 0) + 1 }]), []);
  const value = useMemo(() => ({ tell }), [tell]);
  return (
    <ToastContext value={value}>
      <Radix.Provider duration={8000} label="Message">
        {children}
        {toasts.map((toast) => (
          <Radix.Root key={toast.id} className="toast" onOpenChange={(open) => !open && setToasts((told) => told.filter((one) => one.id !== toast.id))}>
            <Radix.Title className="toast-title">{toast.title}</Radix.Title>
            {toast.detail && <Radix.Description className="muted">{toast.detail}</Radix.Description>}
            <Radix.Close className="icon-button" aria-label="Dismiss">
              ✕
            </Radix.Close>
          </Radix.Root>
        ))}
        <Radix.Viewport className="toasts" />
      </Radix.Provider>
    </ToastContext>
  );
}
