import { describe, expect, it } from "vitest";
import { isAnotherBuild } from "./build";

const page = (name: string) => `<html><script type="module" crossorigin src="/assets/${name}.js"></script></html>`;

describe("another build", () => {
  it("is one whose page begins with another script", () => {
    expect(isAnotherBuild(page("index-new"), "/assets/index-old.js")).toBe(true);
    expect(isAnotherBuild(page("index-old"), "/assets/index-old.js")).toBe(false);
  });
  it("is not guessed from an answer of somebody else, nor where there is no build", () => {
    expect(isAnotherBuild("<html>502 Bad Gateway</html>", "/assets/index-old.js")).toBe(false);
    expect(isAnotherBuild(page("index-new"), "")).toBe(false);
  });
});
