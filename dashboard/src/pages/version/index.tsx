import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { Link, Outlet, useOutletContext, useParams } from "react-router";
import { StoresAway } from "../../actions/stores";
import { VersionActions } from "../../actions/version";
import { BASE } from "../../api/client";
import * as api from "../../api/queries";
import type { Version } from "../../api/schema";
import { useMay, useSession } from "../../app/session";
import { bytes, plural } from "../../lib/format";
import { Hint } from "../../ui/controls";
import { Problems, Warning } from "../../ui/feedback";
import { PageHeader, Tabs, usePageTitle } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { Ago, Code, StateBadge } from "../../ui/text";
import "./version.css";

/** The current version, for the pages below its tabs. */
export function useVersion(): Version {
  return useOutletContext<Version>();
}

export default function VersionPage() {
  const { runtime = "", version: name = "" } = useParams();
  const query = useQuery(api.version(runtime, name));
  const published = useQuery(api.runtime(runtime)).data?.published ?? undefined;
  usePageTitle(name, runtime);
  return (
    <Loaded query={query} height={400}>
      {(version) => (
        <>
          <Header version={version} published={published} />
          <StoresAway runtime={runtime} />
          <Notices version={version} />
          <Links version={version} />
          <Outlet context={version} />
        </>
      )}
    </Loaded>
  );
}

function Header({ version, published }: { version: Version; published: string | undefined }) {
  const { server } = useSession();
  const mayDownload = useMay("manager");
  const at = `/runtimes/${version.runtime}`;
  return (
    <PageHeader
      above={server.mode === "serve" && <Link to={`${at}/versions`}>Versions</Link>}
      title={
        <>
          {version.name} <StateBadge state={version.state} />
        </>
      }
      below={
        <>
          {version.description}
          <ul className="facts small">
            <li>
              created <Ago time={version.created} /> {version.created_by && `by ${version.created_by}`}
            </li>
            {version.published_at && (
              <li>
                published <Ago time={version.published_at} />{" "}
                {version.published_by && `by ${version.published_by}`}
              </li>
            )}
            <li>{plural(version.nodes, "node")}</li>
            <li>{plural(version.workflows, "workflow")}</li>
            {version.package_bytes > 0 && <li>{bytes(version.package_bytes)}</li>}
          </ul>
        </>
      }
    >
      {mayDownload && (
        <Hint text="Download the package">
          <a
            className="button icon quiet"
            href={`${BASE}${at}/versions/${version.name}/package`}
            download={`${version.name}.krt`}
            aria-label="Download the package"
          >
            <Download aria-hidden size={16} />
          </a>
        </Hint>
      )}
      <VersionActions version={version} published={published} />
    </PageHeader>
  );
}

function Notices({ version }: { version: Version }) {
  return (
    <>
      {version.state === "ERROR" && (
        <section className="notice bad" aria-label="Why it is in error">
          <div className="grow stack" style={{ gap: 8 }}>
            <p className="message">{version.name} did not start</p>
            {version.reasons.map((reason) => (
              <Code key={reason} text={reason} label="Reason" height={260} />
            ))}
          </div>
        </section>
      )}
      {version.missing_config.length > 0 && (
        <Warning>
          It starts when it has its whole configuration:{" "}
          {version.missing_config.map((name, i) => (
            <span key={name}>
              {i > 0 && ", "}
              <code>{name}</code>
            </span>
          ))}{" "}
          {version.missing_config.length === 1 ? "is" : "are"} missing.{" "}
          <Link to={`/runtimes/${version.runtime}/versions/${version.name}/config`}>Configuration</Link>
        </Warning>
      )}
      {version.warnings.length > 0 && (
        <details className="warnings">
          <summary>{plural(version.warnings.length, "warning")} about the package</summary>
          <Problems problems={version.warnings} />
        </details>
      )}
    </>
  );
}

function Links({ version }: { version: Version }) {
  const { server } = useSession();
  const at = `/runtimes/${version.runtime}/versions/${version.name}`;
  return (
    <Tabs
      label="Version"
      tabs={[
        { to: at, text: "Graph", end: true },
        { to: `${at}/try`, text: "Try it" },
        ...(version.has_docs ? [{ to: `${at}/docs`, text: "Documentation" }] : []),
        ...(server.mode === "serve" ? [{ to: `${at}/config`, text: "Configuration" }] : []),
      ]}
    />
  );
}
