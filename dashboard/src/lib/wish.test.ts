import { describe, expect, it } from "vitest";
import { wishKey } from "./wish";

describe("the key of a wish", () => {
  it("stays while the same is sent again, and is another one for another wish", () => {
    let count = 0;
    const key = wishKey(() => `key ${++count}`);
    expect([key("close a"), key("close a"), key("close b"), key("close a")]).toEqual(["key 1", "key 1", "key 2", "key 3"]);
  });
});
