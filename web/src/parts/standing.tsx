// standing.tsx - a device that gets no work: why, since when, and the button that changes it.
import { useState } from "preact/hooks";
import { ApiError, post } from "../api";
import type { Device } from "../api_types";
import { age } from "../format";
import { ErrorNote } from "./marks";

export function Standing({ device, onChanged }: { device: Device; onChanged(): void }) {
  const [error, setError] = useState<ApiError>();
  if (device.state === "active") return null;
  const resume = async (): Promise<void> => {
    try {
      await post(`/devices/${encodeURIComponent(device.name)}:resume`);
      setError(undefined);
      onChanged();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return (
    <div class="note warn standing">
      <p><strong>{device.state === "quarantined" ? "Quarantined" : "Draining"}</strong> ({age(device.state_since)}): {device.state_reason}. It gets no work until it is resumed.</p>
      <button onClick={() => void resume()}>Resume</button>
      <ErrorNote error={error} />
    </div>
  );
}
