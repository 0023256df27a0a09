interface SwitchProps<Value extends string> {
  label: string;
  name: string;
  options: readonly { value: Value; label: string }[];
  value: Value;
  choose: (value: Value) => void;
  wide?: boolean;
}

/** A few choices side by side, of which one holds. */
export function Switch<Value extends string>({ label, name, options, value, choose, wide = false }: SwitchProps<Value>) {
  return (
    <fieldset className={`segments ${wide ? "segments-wide" : ""}`}>
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label key={option.value}>
          <input type="radio" name={name} checked={option.value === value} onChange={() => choose(option.value)} />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
