/** How much of something is done, as a bar and in figures. */
export function Bar({ label, done, total }: { label: string; done: number; total: number }) {
  return (
    <span className="bar">
      <progress aria-label={label} value={done} max={Math.max(1, total)} />{" "}
      <span className="bar-figures">
        {done} of {total}
      </span>
    </span>
  );
}
