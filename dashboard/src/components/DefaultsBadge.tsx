/** Beside a strategy's name where its numbers were not chosen by training. */
export function DefaultsBadge({ shown }: { shown: boolean }) {
  if (!shown) return null;
  return (
    <span className="badge badge-simulated" data-testid="defaults" title="The strategy's own default numbers, not chosen by training.">
      DEFAULTS
    </span>
  );
}
