/** Keys for `Idempotency-Key`: one for each different wish, the same one while it is sent again. */
export function wishKey(random: () => string = randomKey): (content: string) => string {
  let last: { content: string; key: string } | null = null;
  return (content) => {
    if (last?.content !== content) last = { content, key: random() };
    return last.key;
  };
}

// randomUUID is for secure pages only.
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
