import { Switch } from "../../components/Switch";
import type { CoverageLine } from "../../generated/api";
import { offeredTimeframes } from "../../lib/intake";
import type { Market } from "../../lib/queries";

interface PickerProps {
  series: CoverageLine[];
  market: Market;
  choose: (market: Market) => void;
}

const same = (line: CoverageLine, market: Market): boolean => line.exchange === market.exchange && line.symbol === market.symbol;

export function MarketPicker({ series, market, choose }: PickerProps) {
  const assets = [...new Map(series.map((line) => [`${line.exchange} ${line.symbol}`, line])).values()];
  const timeframes = timeframesOf(series, market);
  const chooseAsset = (index: number): void => {
    const asset = assets[index];
    if (!asset) return;
    const offered = timeframesOf(series, { ...market, exchange: asset.exchange, symbol: asset.symbol });
    const timeframe = offered.includes(market.timeframe) ? market.timeframe : (offered[0] ?? market.timeframe);
    choose({ exchange: asset.exchange, symbol: asset.symbol, timeframe });
  };
  return (
    <div className="picker">
      <label className="sr-only" htmlFor="asset">
        Asset
      </label>
      <select id="asset" value={assets.findIndex((line) => same(line, market))} onChange={(event) => chooseAsset(Number(event.target.value))}>
        {assets.map((line, index) => (
          <option key={`${line.exchange} ${line.symbol}`} value={index}>
            {line.symbol} · {line.exchange}
          </option>
        ))}
      </select>
      <Switch
        label="Timeframe"
        name="timeframe"
        options={timeframes.map((timeframe) => ({ value: timeframe, label: timeframe }))}
        value={market.timeframe}
        choose={(timeframe) => choose({ ...market, timeframe })}
      />
    </div>
  );
}

const timeframesOf = (series: CoverageLine[], market: Market): string[] =>
  offeredTimeframes(series.filter((line) => same(line, market)).map((line) => line.timeframe));
