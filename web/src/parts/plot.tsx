// plot.tsx - a uPlot that fits its place and follows the theme. What it shows is the caller's.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colour, useTheme } from "../theme";

export type PlotOptions = Omit<uPlot.Options, "width" | "height">;

interface Props {
  options: PlotOptions; // another object makes another plot
  data: uPlot.AlignedData;
  height: number;
}

export function Plot({ options, data, height }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const theme = useTheme();

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot({ ...options, width: Math.max(200, element.clientWidth), height }, data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      const width = Math.max(200, element.clientWidth);
      if (width !== made.width) made.setSize({ width, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [options, data, height]);

  useEffect(() => plot.current?.redraw(false), [theme]);
  return <div class="plot" ref={place} style={{ minHeight: `${height}px` }} />;
}

/** An axis in the theme's colours, read anew at each drawing. */
export function axis(label: string, more: Partial<uPlot.Axis> = {}): uPlot.Axis {
  const font = "12px system-ui, sans-serif";
  const quiet = (): string => colour("--grid");
  return {
    label, font, labelFont: font, labelSize: 22, stroke: () => colour("--muted"),
    grid: { stroke: quiet, width: 1 }, ticks: { stroke: quiet, width: 1, size: 5 }, ...more,
  };
}
