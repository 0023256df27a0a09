import type { ConfigurationLine, Stage } from "../../generated/api";

/** What a stage means for the money behind it. */
export const STAGE_WORDS: Record<Stage, string> = {
  validation: "on paper, or live at half size",
  confirmation: "live at half size",
  mature: "full size",
  quarantined: "followed without money",
  retired: "history",
};

/** A retired one is history; one in quarantine may be led out of it, with a reason. */
export const mayBeActivated = ({ active, stage }: ConfigurationLine): boolean => !active && stage !== "retired";
