// profile.tsx - how far a device is profiled; or, when it is idle, the button that has it profiled for a space.
import { useState } from "preact/hooks";
import { ApiError, getAll, post, useResource } from "../api";
import type { Device, Page, Space } from "../api_types";
import { ErrorNote, ProgressBar } from "./marks";

export function Profile({ device, onChanged }: { device: Device; onChanged(): void }) {
  const { profile } = device;
  if (profile && profile.done < profile.total) {
    return <ProgressBar progress={{ ...profile, unit: "jobs of the profile", eta_s: null }} label={`Profile of ${device.name}`} />;
  }
  return device.online ? <ProfileButton device={device} onStarted={onChanged} /> : null;
}

function ProfileButton({ device, onStarted }: { device: Device; onStarted(): void }) {
  const spaces = useResource<Page<Space>>("/spaces", { load: getAll });
  const [chosen, setChosen] = useState("");
  const [error, setError] = useState<ApiError>();
  const space = chosen || (spaces.data?.items[0]?.name ?? "");
  const start = async (): Promise<void> => {
    try {
      await post("/jobs", { kind: "profile", device: device.name, space });
      setError(undefined);
      onStarted();
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure);
    }
  };
  return (
    <>
      <div class="profile">
        <select aria-label={`Space to profile ${device.name} for`} value={space} onChange={(e) => setChosen(e.currentTarget.value)}>
          {spaces.data?.items.map((s) => <option>{s.name}</option>)}
        </select>
        <button disabled={!space} onClick={() => void start()}>Profile</button>
      </div>
      <ErrorNote error={error} />
    </>
  );
}
