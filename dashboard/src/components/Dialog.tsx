import * as Radix from "@radix-ui/react-dialog";
import type { ReactNode } from "react";

interface DialogProps {
  title: string;
  close: () => void;
  wide?: boolean;
  testid?: string;
  children: ReactNode;
}

/** Rendered while it is open. Escape, the cross and a press outside close it; the focus goes back to where it was. */
export function Dialog({ title, close, wide = false, testid, children }: DialogProps) {
  return (
    <Radix.Root open onOpenChange={(open) => !open && close()}>
      <Radix.Portal>
        {/* Radix's own overlay writes a style element, which the content security policy refuses. */}
        <div className="backdrop" aria-hidden="true" />
        <Radix.Content className={`dialog ${wide ? "dialog-wide" : ""}`} aria-describedby={undefined} data-testid={testid}>
          <header className="panel-head">
            <Radix.Title asChild>
              <h2>{title}</h2>
            </Radix.Title>
            <Radix.Close className="icon-button panel-aside" aria-label="Close">
              ✕
            </Radix.Close>
          </header>
          <div className="dialog-body">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
