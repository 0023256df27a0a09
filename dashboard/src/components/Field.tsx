import { type ReactNode, useId } from "react";

interface Control {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: string | null | undefined;
  /** Gets what ties it to its label, its hint and what is wrong with it. */
  children: (control: Control) => ReactNode;
}

/** `<Field label="Days" hint="0: all">{(control) => <input {...control} name="days" />}</Field>` */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined })}
      {hint && (
        <small id={`${id}-hint`} className="muted">
          {hint}
        </small>
      )}
      {error && (
        <small id={`${id}-error`} className="field-error">
          <span aria-hidden="true">▲ </span>
          {error}
        </small>
      )}
    </div>
  );
}
