// theme.ts - light or dark: as the system says, until the reader says otherwise. Told to CSS by <html data-theme>.
import { useEffect, useState } from "preact/hooks";

export type Theme = "light" | "dark";
const KEY = "tailor.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

function wanted(): Theme {
  const chosen = localStorage.getItem(KEY);
  return chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light";
}

function apply(): void {
  document.documentElement.dataset["theme"] = wanted();
  listeners.forEach((listener) => listener());
}

export function startTheme(): void {
  apply();
  system.addEventListener("change", apply);
}

/** Choosing what the system says anyway is following it again. */
export function chooseTheme(theme: Theme): void {
  if (theme === (system.matches ? "dark" : "light")) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  apply();
}

export function useTheme(): Theme {
  const [theme, setTheme] = useState(wanted);
  useEffect(() => {
    const listener = (): void => setTheme(wanted());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return theme;
}

/** A colour of the theme, for canvases: colour("--front"). */
export const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
