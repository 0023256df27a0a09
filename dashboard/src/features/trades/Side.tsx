export function Side({ side }: { side: "long" | "short" }) {
  return (
    <span className={`side side-${side}`}>
      <span aria-hidden="true">{side === "long" ? "▲" : "▼"}</span> {side}
    </span>
  );
}
