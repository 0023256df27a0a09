/** What the menu offers, in its order. A screen stands here once it is built, and not before. */
export const NAVIGATION = [
  {
    group: "Trading",
    items: [
      { to: "/", label: "Overview" },
      { to: "/trading", label: "Market" },
      { to: "/setups", label: "Setups" },
      { to: "/journal", label: "Journal" },
      { to: "/risk", label: "Risk" },
    ],
  },
  {
    group: "Learning",
    items: [
      { to: "/strategies", label: "Strategies" },
      { to: "/training", label: "Training" },
      { to: "/configurations", label: "Configurations" },
      { to: "/backtests", label: "Backtests" },
    ],
  },
  {
    group: "Running it",
    items: [
      { to: "/first-steps", label: "First steps" },
      { to: "/system", label: "System" },
    ],
  },
] as const;
