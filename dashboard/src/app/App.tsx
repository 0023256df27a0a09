import { RouterProvider } from "@tanstack/react-router";
import { useState } from "react";
import { makeRouter } from "./router";

export function App() {
  const [router] = useState(makeRouter);
  return <RouterProvider router={router} />;
}
