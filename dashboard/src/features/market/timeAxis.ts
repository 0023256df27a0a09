import { TickMarkType, type Time } from "lightweight-charts";
import { clockTime, type Zone } from "../../lib/format";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Options of a chart whose times are read in `zone`; the library itself knows UTC only. */
export function timeAxis(zone: Zone) {
  const written = (time: Time): string => clockTime(Number(time) * 1000, zone);
  return {
    localization: { timeFormatter: written },
    timeScale: { tickMarkFormatter: (time: Time, type: TickMarkType): string => tick(written(time), type) },
  };
}

function tick(written: string, type: TickMarkType): string {
  const [date = "", clock = ""] = written.split(" ");
  const [year = "", month = "", day = ""] = date.split("-");
  if (type === TickMarkType.Year) return year;
  const named = MONTHS[Number(month) - 1] ?? month;
  if (type === TickMarkType.Month) return named;
  return type === TickMarkType.DayOfMonth ? `${Number(day)} ${named}` : clock;
}
