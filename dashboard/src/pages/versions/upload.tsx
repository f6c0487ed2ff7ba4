/** Uploads a package by drag and drop, file dialog or clipboard, and shows its problems. */

import { useQueryClient } from "@tanstack/react-query";
import { PackagePlus } from "lucide-react";
import { useState } from "react";
import { DropZone, FileTrigger, ProgressBar } from "react-aria-components";
import { useNavigate } from "react-router";
import { BASE, csrfHeaders, Refused } from "../../api/client";
import type { Error as ErrorBody, Version } from "../../api/schema";
import { useSession } from "../../app/session";
import { bytes } from "../../lib/format";
import { Button, TextField } from "../../ui/controls";
import { Failure } from "../../ui/feedback";

/** Sends a file with `XMLHttpRequest`, since `fetch` reports no progress. */
function send(
  runtime: string,
  file: File,
  comment: string,
  onProgress: (share: number) => void,
): Promise<Version> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const query = comment ? `?${new URLSearchParams({ comment })}` : "";
    request.open("POST", `${BASE}/runtimes/${encodeURIComponent(runtime)}/versions${query}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    for (const [name, value] of Object.entries(csrfHeaders())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    request.onload = () => {
      if (request.status < 300) resolve(request.response as Version);
      else reject(new Refused(request.status, (request.response as ErrorBody | null) ?? {}));
    };
    request.onerror = () =>
      reject(
        new Refused(0, {
          message: "the upload was interrupted",
          hint: "the server may refuse packages of this size",
        }),
      );
    request.send(file);
  });
}

export function Upload({ runtime }: { runtime: string }) {
  const { server } = useSession();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [share, setShare] = useState<number | null>(null);
  const [error, setError] = useState<Refused | null>(null);
  const [comment, setComment] = useState("");

  async function take(chosen: File | undefined) {
    if (!chosen || share !== null) return;
    setFile(chosen);
    setError(null);
    if (chosen.size > server.limits.package_bytes) {
      const most = bytes(server.limits.package_bytes);
      setError(
        new Refused(413, {
          message: `the package has ${bytes(chosen.size)}`,
          hint: `the limit of this server is ${most}`,
        }),
      );
      return;
    }
    setShare(0);
    try {
      const version = await send(runtime, chosen, comment.trim(), setShare);
      await queries.invalidateQueries({ queryKey: ["runtimes"] });
      await navigate(`/runtimes/${runtime}/versions/${version.name}`);
    } catch (thrown) {
      setError(thrown instanceof Refused ? thrown : new Refused(0, { message: String(thrown) }));
      setShare(null);
    }
  }

  return (
    <div className="stack">
      <DropZone
        aria-label="Drop a package here"
        className="dropzone"
        getDropOperation={() => "copy"}
        onDrop={async ({ items }) => {
          for (const item of items) if (item.kind === "file") return take(await item.getFile());
        }}
      >
        <PackagePlus aria-hidden size={20} />
        {share === null ? (
          <>
            <p className="grow">
              Drop a <code>.krt</code> here to create a version.
              <span className="muted wide-only">
                {" "}
                <code>krt pack</code> creates the file.
              </span>
            </p>
            <TextField
              label="Comment"
              hideLabel
              placeholder="Comment, for the audit log"
              value={comment}
              onChange={setComment}
              maxLength={500}
            />
            <FileTrigger acceptedFileTypes={[".krt"]} onSelect={(files) => void take(files?.[0])}>
              <Button>Choose a file</Button>
            </FileTrigger>
          </>
        ) : (
          <ProgressBar className="progress" value={share * 100} aria-label={`Uploading ${file?.name}`}>
            {({ percentage, valueText }) => (
              <>
                <p className="row">
                  <span className="grow clip">
                    {share < 1 ? `Uploading ${file?.name}` : `Checking ${file?.name}`}
                  </span>
                  <span className="number">{valueText}</span>
                </p>
                <span className="bar">
                  <span style={{ width: `${percentage}%` }} />
                </span>
              </>
            )}
          </ProgressBar>
        )}
      </DropZone>
      {error && file && (
        <section aria-label={`Why ${file.name} was refused`}>
          <Failure error={error} />
        </section>
      )}
    </div>
  );
}
